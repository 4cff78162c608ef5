/** What the fuzzer must know of single kinds: who else writes them, and which could do harm to other lanes. */
import type { Kind } from "./asks.ts";

/** No controller writes these, so that every change is by the one who asked. */
const quiet = new Set([
  "/ConfigMap",
  "/Secret",
  "/LimitRange",
  "/PodTemplate",
  "coordination.k8s.io/Lease",
  "networking.k8s.io/IngressClass",
  "networking.k8s.io/NetworkPolicy",
  "node.k8s.io/RuntimeClass",
  "rbac.authorization.k8s.io/Role",
  "rbac.authorization.k8s.io/RoleBinding",
  "rbac.authorization.k8s.io/ClusterRoleBinding",
  "scheduling.k8s.io/PriorityClass",
  "storage.k8s.io/StorageClass",
  "storage.k8s.io/CSIDriver",
  "storage.k8s.io/CSINode",
  "storage.k8s.io/CSIStorageCapacity",
  "storage.k8s.io/VolumeAttributesClass",
  "resource.k8s.io/DeviceClass",
  "resource.k8s.io/ResourceClaimTemplate",
  "resource.k8s.io/ResourceSlice",
  "admissionregistration.k8s.io/MutatingWebhookConfiguration",
  "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding",
  "admissionregistration.k8s.io/MutatingAdmissionPolicy",
  "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding",
]);

/** Whether nobody but its client changes the object: the garbage collector does when it has owners. */
export function isQuiet({ group, kind }: Kind, text: string | undefined): boolean {
  if (text?.includes('"ownerReferences"') || text?.includes('"deletionTimestamp"')) return false;
  return quiet.has(`${group}/${kind}`) || group.startsWith("fuzz");
}

const dangerous = new Set([
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
  "ValidatingAdmissionPolicy",
  "MutatingAdmissionPolicy",
  "PriorityClass",
  "FlowSchema",
  "PriorityLevelConfiguration",
]);

/** Could meet the writes of others: only sent whole, and guarded. */
export const isDangerous = ({ kind }: Kind): boolean => dangerous.has(kind);

type Struct = { [key: string]: unknown };

const struct = (value: unknown): Struct | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Struct) : undefined;

/** Limits what it does to objects of this lane, whatever mutation made of it. */
export function guard(object: Struct, lane: string): void {
  const only = { matchLabels: { lane } };
  if (object["globalDefault"] !== undefined) object["globalDefault"] = false;
  if (Array.isArray(object["webhooks"])) {
    for (const webhook of object["webhooks"].map(struct)) {
      if (!webhook) continue;
      webhook["objectSelector"] = only;
      webhook["timeoutSeconds"] = 1;
      webhook["failurePolicy"] = "Ignore";
      const rules = webhook["rules"];
      if (webhook["clientConfig"]) webhook["clientConfig"] = { url: "https://127.0.0.1:1/x" };
      if (Array.isArray(rules)) webhook["rules"] = rules.slice(0, 3);
    }
  }
  const constraints = struct(struct(object["spec"])?.["matchConstraints"]);
  if (constraints) constraints["objectSelector"] = only;
}
