/** Leases, PriorityClasses, RuntimeClasses: small cluster-wide agreements. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { Lease } from "../../../../common/kube/types.ts";
import { dnsLabelProblems } from "../../../../common/kube/names.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, table } from "../define.ts";
import { Problems } from "../validation/problems.ts";

function validateLease(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { leaseDurationSeconds: seconds, leaseTransitions } = (object as Lease).spec ?? {};
  if (seconds !== undefined && seconds <= 0) {
    problems.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
  }
  problems.nonNegative("spec.leaseTransitions", leaseTransitions);
  return problems.causes;
}

export const lease: ResourceDefinition = define({
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  resource: "leases",
  strategy: { validate: validateLease, validateUpdate: validateLease, allowCreateOnUpdate: true },
  table: table<Lease>(
    shows("Holder", "Who holds it", (one) => one.spec?.holderIdentity ?? ""),
    showsAge,
  ),
});

const highestUserPriority = 1_000_000_000;
const systemPrefix = "system-";
export const systemPriorities: Record<string, number> = {
  "system-cluster-critical": 2_000_000_000,
  "system-node-critical": 2_000_001_000,
};

export const priorityClass: ResourceDefinition = define({
  group: "scheduling.k8s.io",
  version: "v1",
  kind: "PriorityClass",
  resource: "priorityclasses",
  shortNames: ["pc"],
  namespaced: false,
  hasGeneration: true,
  strategy: {
    validate(object) {
      const problems = new Problems();
      const { name = "" } = object.metadata;
      const value = Number(object["value"] ?? 0);
      if (name.startsWith(systemPrefix)) {
        if (systemPriorities[name] !== value) {
          problems.forbidden(
            "metadata.name",
            "priority class names with 'system-' prefix are reserved for system use only. error: " +
              (systemPriorities[name] === undefined
                ? `${name} is not a known system priority class`
                : `value of ${name} PriorityClass must be ${systemPriorities[name]}`),
          );
        }
      } else if (value > highestUserPriority) {
        problems.forbidden("value", `maximum allowed value of a user defined priority is ${highestUserPriority}`);
      }
      const policy = object["preemptionPolicy"] as string | undefined;
      if (policy !== undefined) problems.oneOf("preemptionPolicy", policy, ["Never", "PreemptLowerPriority"]);
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      if ((object["value"] ?? 0) !== (old["value"] ?? 0))
        problems.forbidden("value", "may not be changed in an update.");
      problems.immutable("preemptionPolicy", object["preemptionPolicy"], old["preemptionPolicy"]);
      return problems.causes;
    },
  },
  table: table(
    shows("Value", "The priority itself", (one) => Number(one["value"] ?? 0), { type: "integer" }),
    shows(
      "Global-Default",
      "Whether Pods that name none get this one",
      (one) => String(one["globalDefault"] === true),
      {
        type: "boolean",
      },
    ),
    showsAge,
    shows("PreemptionPolicy", "Whether its Pods may push out others", (one) => String(one["preemptionPolicy"] ?? "")),
  ),
});

export const runtimeClass: ResourceDefinition = define({
  group: "node.k8s.io",
  version: "v1",
  kind: "RuntimeClass",
  resource: "runtimeclasses",
  namespaced: false,
  strategy: {
    validate(object) {
      const problems = new Problems();
      const handler = String(object["handler"] ?? "");
      if (handler === "") problems.required("handler");
      else problems.invalidAll("handler", handler, dnsLabelProblems(handler));
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("handler", object["handler"], old["handler"]);
      return problems.causes;
    },
  },
  table: table(
    shows("Handler", "The container runtime's own name", (one) => String(one["handler"] ?? "")),
    showsAge,
  ),
});
