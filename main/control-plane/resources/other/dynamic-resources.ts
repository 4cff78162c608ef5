/** resource.k8s.io: devices that Pods ask for by class, and what nodes have of them. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { define, nameAndAge, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import type { ResourceDefinition } from "../definition.ts";
import { Problems } from "../validation/problems.ts";

interface ClaimSpec {
  devices?: {
    requests?: {
      name?: string;
      exactly?: { deviceClassName?: string };
      firstAvailable?: { deviceClassName?: string }[];
    }[];
  };
}
interface Claim extends KubeObject {
  spec?: ClaimSpec;
  status?: { allocation?: object; reservedFor?: object[] };
}
interface Slice extends KubeObject {
  spec?: { nodeName?: string; allNodes?: boolean; driver?: string; pool?: { name?: string } };
}

function validateClaim(problems: Problems, path: string, spec: ClaimSpec | undefined): void {
  const seen = new Set<string>();
  (spec?.devices?.requests ?? []).forEach(({ name = "", exactly, firstAvailable }, at) => {
    const field = `${path}.devices.requests[${at}]`;
    if (name === "") problems.required(`${field}.name`);
    else if (seen.has(name)) problems.duplicate(`${field}.name`, name);
    seen.add(name);
    if (!exactly && !firstAvailable?.length)
      problems.required(field, "exactly one of `exactly` or `firstAvailable` is required");
    if (exactly && firstAvailable?.length)
      problems.invalid(
        field,
        null,
        "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
      );
    if (exactly && !exactly.deviceClassName) problems.required(`${field}.exactly.deviceClassName`);
  });
}

const place = { group: "resource.k8s.io", version: "v1" } as const;
const state = ({ metadata, status }: Claim): string =>
  [
    ...(metadata.deletionTimestamp === undefined ? [] : ["deleted"]),
    ...(status?.allocation ? ["allocated"] : []),
    ...(status?.reservedFor?.length ? ["reserved"] : []),
  ].join(",") || "pending";

export const resourceClaim: ResourceDefinition = define({
  ...place,
  kind: "ResourceClaim",
  resource: "resourceclaims",
  strategy: withStatus({
    validate(object): StatusCause[] {
      const problems = new Problems();
      validateClaim(problems, "spec", (object as Claim).spec);
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("spec", object["spec"], old["spec"]);
      return problems.causes;
    },
  }),
  subresources: [statusSubresource()],
  table: table<Claim>(shows("State", "How far it has come", state), showsAge),
});

export const resourceClaimTemplate: ResourceDefinition = define({
  ...place,
  kind: "ResourceClaimTemplate",
  resource: "resourceclaimtemplates",
  strategy: {
    validate(object) {
      const problems = new Problems();
      validateClaim(problems, "spec.spec", (object["spec"] as { spec?: ClaimSpec } | undefined)?.spec);
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("spec", object["spec"], old["spec"]);
      return problems.causes;
    },
  },
  table: nameAndAge,
});

export const deviceClass: ResourceDefinition = define({
  ...place,
  namespaced: false,
  kind: "DeviceClass",
  resource: "deviceclasses",
  hasGeneration: true,
  table: nameAndAge,
});

export const resourceSlice: ResourceDefinition = define({
  ...place,
  namespaced: false,
  kind: "ResourceSlice",
  resource: "resourceslices",
  hasGeneration: true,
  selectableFields: {
    "spec.nodeName": (object) => (object as Slice).spec?.nodeName ?? "",
    "spec.driver": (object) => (object as Slice).spec?.driver ?? "",
  },
  strategy: {
    validate(object) {
      const problems = new Problems();
      const { driver, pool } = (object as Slice).spec ?? {};
      if (!driver) problems.required("spec.driver");
      if (!pool?.name) problems.required("spec.pool.name");
      return problems.causes;
    },
  },
  table: table<Slice>(
    shows(
      "Node",
      "Whose devices they are",
      (one) => one.spec?.nodeName ?? (one.spec?.allNodes ? "<all>" : "<selector>"),
    ),
    shows("Driver", "Who drives them", (one) => one.spec?.driver ?? ""),
    shows("Pool", "What they belong to", (one) => one.spec?.pool?.name ?? ""),
    showsAge,
  ),
});
