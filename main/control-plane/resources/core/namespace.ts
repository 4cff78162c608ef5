/** Namespaces. Deleting one is two-phased: the `kubernetes` finalizer in spec goes when the content is gone. */
import { copyOf } from "../../../../common/kube/copy.ts";
import { dnsLabelProblems } from "../../../../common/kube/names.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Namespace } from "../../../../common/kube/types.ts";
import type { ResourceDefinition } from "../definition.ts";
import { allVerbs, define, showsAge, shows, statusSubresource, table, withStatus } from "../define.ts";

const kubernetesFinalizer = "kubernetes";
export const nameLabel = "kubernetes.io/metadata.name";

/** Terminating once the namespace has a deletion timestamp. */
function phase(object: KubeObject): string {
  return (object as Namespace).status?.phase ?? "Active";
}

function label(object: KubeObject): void {
  object.metadata.labels = { ...object.metadata.labels, [nameLabel]: object.metadata.name ?? "" };
}

export const namespace: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "Namespace",
  resource: "namespaces",
  shortNames: ["ns"],
  namespaced: false,
  verbs: allVerbs.filter((verb) => verb !== "deletecollection"),
  nameProblems: dnsLabelProblems,
  strategy: withStatus(
    {
      prepareForCreate(object) {
        const spec = (object["spec"] ?? {}) as { finalizers?: string[] };
        const finalizers = spec.finalizers ?? [];
        if (!finalizers.includes(kubernetesFinalizer)) finalizers.push(kubernetesFinalizer);
        object["spec"] = { ...spec, finalizers };
        label(object);
      },
      prepareForUpdate(object, old) {
        object["spec"] = old["spec"];
        label(object);
      },
    },
    () => ({ phase: "Active" }),
  ),
  table: table(shows("Status", "The status of the namespace", phase), showsAge),
  selectableFields: { "status.phase": phase },
  subresources: [
    statusSubresource(),
    {
      name: "finalize",
      verbs: ["update"],
      prepareForUpdate(object, old) {
        return { ...copyOf(old), metadata: object.metadata, spec: object["spec"] };
      },
    },
  ],
});

/** True once nothing but the namespace itself is left to remove. */
export function isFinalized(object: KubeObject): boolean {
  return ((object["spec"] as { finalizers?: string[] } | undefined)?.finalizers ?? []).length === 0;
}
