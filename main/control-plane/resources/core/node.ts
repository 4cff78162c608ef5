/** Nodes: taints, Pod ranges, and the columns of `kubectl get nodes`. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { labelKeyProblems, labelValueProblems } from "../../../../common/kube/names.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { Node } from "../../../../common/kube/types.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table } from "../define.ts";
import { cidrProblems } from "../validation/numbers.ts";
import { Problems } from "../validation/problems.ts";

const rolePrefix = "node-role.kubernetes.io/";
const oldRoleLabel = "kubernetes.io/role";
const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/** "Ready", "NotReady", "Ready,SchedulingDisabled", "Unknown" when no kubelet has said anything. */
export function nodeStatus(node: Node): string {
  const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
  const said = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec?.unschedulable ? `${said},SchedulingDisabled` : said;
}

/** The roles the node's labels name, sorted, or "<none>". */
export function nodeRoles(node: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === oldRoleLabel && value !== "") roles.add(value);
  }
  return roles.size === 0 ? "<none>" : [...roles].toSorted().join(",");
}

const address = (node: Node, type: string): string =>
  node.status?.addresses?.find((one) => one.type === type)?.address ?? "<none>";
const info = (node: Node, part: "osImage" | "kernelVersion" | "containerRuntimeVersion"): string =>
  node.status?.nodeInfo?.[part] || "<unknown>";

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = (object as Node).spec ?? {};
  const seen = new Set<string>();
  (spec.taints ?? []).forEach((taint, index) => {
    const field = `spec.taints[${index}]`;
    problems.invalidAll(`${field}.key`, taint.key, labelKeyProblems(taint.key));
    if (taint.value) problems.invalidAll(`${field}.value`, taint.value, labelValueProblems(taint.value));
    problems.oneOf(`${field}.effect`, taint.effect, effects);
    const key = `${taint.key}:${taint.effect}`;
    if (seen.has(key)) problems.duplicate(field, taint);
    seen.add(key);
  });
  const ranges = spec.podCIDRs ?? (spec.podCIDR ? [spec.podCIDR] : []);
  ranges.forEach((range, index) => problems.invalidAll(`spec.podCIDRs[${index}]`, range, cidrProblems(range)));
  return problems.causes;
}

function validateUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  problems.add(validate(object));
  const spec = (object as Node).spec ?? {};
  const before = (old as Node).spec ?? {};
  if (before.podCIDRs?.length && JSON.stringify(before.podCIDRs) !== JSON.stringify(spec.podCIDRs)) {
    problems.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid');
  }
  if (before.providerID && before.providerID !== spec.providerID) {
    problems.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid');
  }
  return problems.causes;
}

/** podCIDR is the first of podCIDRs, whichever of the two was written. */
function alignRanges(object: KubeObject): void {
  const spec = (object as Node).spec;
  if (!spec) return;
  if (spec.podCIDR && !spec.podCIDRs?.length) spec.podCIDRs = [spec.podCIDR];
  else if (!spec.podCIDR && spec.podCIDRs?.[0]) spec.podCIDR = spec.podCIDRs[0];
}

export const node: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "Node",
  resource: "nodes",
  shortNames: ["no"],
  namespaced: false,
  strategy: {
    defaults: (object) => {
      object["spec"] ??= {};
      alignRanges(object);
    },
    prepareForUpdate(object, old) {
      if (old["status"] === undefined) delete object["status"];
      else object["status"] = old["status"];
    },
    validate,
    validateUpdate,
  },
  table: table<Node>(
    shows("Status", "The status of the node", nodeStatus),
    shows("Roles", "The roles of the node", nodeRoles),
    showsAge,
    shows("Version", "The version the kubelet reports", (one) => one.status?.nodeInfo?.kubeletVersion ?? ""),
    shows("Internal-IP", "The node's address in the cluster", (one) => address(one, "InternalIP"), { wide: true }),
    shows("External-IP", "The node's address outside", (one) => address(one, "ExternalIP"), { wide: true }),
    shows("OS-Image", "The operating system", (one) => info(one, "osImage"), { wide: true }),
    shows("Kernel-Version", "The kernel", (one) => info(one, "kernelVersion"), { wide: true }),
    shows("Container-Runtime", "The container runtime", (one) => info(one, "containerRuntimeVersion"), { wide: true }),
  ),
  selectableFields: { "spec.unschedulable": (object) => String((object as Node).spec?.unschedulable === true) },
  subresources: [
    statusSubresource(),
    { name: "proxy", verbs: ["create", "delete", "get", "patch", "update"], handled: true },
  ],
});
