/** The kind CustomResourceDefinition itself. */
import { copyOf } from "../../../common/kube/copy.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { define, shows, statusSubresource, table } from "../resources/define.ts";
import type { ResourceDefinition } from "../resources/definition.ts";
import { same } from "../resources/validation/problems.ts";
import { validateDefinition } from "./definition-validation.ts";
import type { CustomResourceDefinition } from "./types.ts";
import { CLEANUP, definitionsResource } from "./types.ts";

/** The definition stays until its objects are gone, whatever a client says of its finalizers. */
function keepFinalizer(object: KubeObject): void {
  if (object.metadata.deletionTimestamp !== undefined) return;
  const finalizers = object.metadata.finalizers ?? [];
  if (!finalizers.includes(CLEANUP)) object.metadata.finalizers = [...finalizers, CLEANUP];
}

const storageVersion = (crd: CustomResourceDefinition): string | undefined =>
  crd.spec?.versions?.find(({ storage }) => storage)?.name;

export const customResourceDefinition: ResourceDefinition = define({
  ...definitionsResource,
  kind: "CustomResourceDefinition",
  singular: "customresourcedefinition",
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  namespaced: false,
  hasGeneration: true,
  anyFinalizer: true,
  strategy: {
    allowUnconditionalUpdate: false,
    prepareForCreate(object) {
      const version = storageVersion(object as CustomResourceDefinition);
      object["status"] = {
        conditions: null,
        acceptedNames: { plural: "", kind: "" },
        storedVersions: version === undefined ? [] : [version],
      };
      keepFinalizer(object);
    },
    prepareForUpdate(object, old) {
      object["status"] = copyOf(old["status"]);
      const crd = object as CustomResourceDefinition;
      const version = storageVersion(crd);
      const stored = crd.status?.storedVersions ?? [];
      if (version !== undefined && crd.status && !stored.includes(version))
        crd.status = { ...crd.status, storedVersions: [...stored, version] };
      keepFinalizer(object);
    },
    validate: (object) => validateDefinition(object as CustomResourceDefinition),
    validateUpdate(object, old) {
      // One that is on its way out may have been taken by other rules: its finalizer must come off all the same.
      if (old.metadata.deletionTimestamp !== undefined && same(object["spec"], old["spec"])) return [];
      return validateDefinition(object as CustomResourceDefinition, old as CustomResourceDefinition);
    },
  },
  subresources: [statusSubresource()],
  table: table(
    shows("Created At", "When it was created.", (one) => one.metadata.creationTimestamp ?? "", { type: "date" }),
  ),
});
