/** PodDisruptionBudgets, LimitRanges and ResourceQuotas: bounds on what others may do. */
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { labelKeyProblems } from "../../../../common/kube/names.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { compareQuantity, isQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { validateAtMostAll, validateCountOrPercent } from "../validation/numbers.ts";
import { Problems } from "../validation/problems.ts";
import { validateLabelSelector } from "../validation/selectors.ts";

type Budget = KubeObject & Pick<IPodDisruptionBudget, "spec" | "status">;
type Amounts = Record<string, string | number>;

function validateBudget(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = (object as Budget).spec ?? {};
  const { minAvailable, maxUnavailable } = spec;
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    problems.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set");
  }
  for (const [name, value] of Object.entries({ minAvailable, maxUnavailable })) {
    if (value === undefined) continue;
    validateCountOrPercent(problems, `spec.${name}`, value);
    validateAtMostAll(problems, `spec.${name}`, value);
  }
  problems.add(validateLabelSelector(spec.selector as LabelSelectorObject | undefined, "spec.selector"));
  if (spec.unhealthyPodEvictionPolicy !== undefined) {
    problems.oneOf("spec.unhealthyPodEvictionPolicy", spec.unhealthyPodEvictionPolicy, [
      "AlwaysAllow",
      "IfHealthyBudget",
    ]);
  }
  return problems.causes;
}

export const podDisruptionBudget: ResourceDefinition = define({
  group: "policy",
  version: "v1",
  kind: "PodDisruptionBudget",
  resource: "poddisruptionbudgets",
  shortNames: ["pdb"],
  hasGeneration: true,
  strategy: withStatus({ validate: validateBudget, validateUpdate: validateBudget }, () => ({
    currentHealthy: 0,
    desiredHealthy: 0,
    disruptionsAllowed: 0,
    expectedPods: 0,
  })),
  table: table<Budget>(
    shows("Min Available", "Pods that must stay", (one) => String(one.spec?.minAvailable ?? "N/A")),
    shows("Max Unavailable", "Pods that may go", (one) => String(one.spec?.maxUnavailable ?? "N/A")),
    shows("Allowed Disruptions", "How many may go now", (one) => one.status?.disruptionsAllowed ?? 0, {
      type: "integer",
    }),
    showsAge,
  ),
  subresources: [statusSubresource()],
});

interface LimitItem {
  type: string;
  max?: Amounts;
  min?: Amounts;
  default?: Amounts;
  defaultRequest?: Amounts;
}

const limitsOf = (object: KubeObject): LimitItem[] =>
  (object["spec"] as { limits?: LimitItem[] } | undefined)?.limits ?? [];

function more(a: string | number | undefined, b: string | number | undefined): boolean {
  return isQuantity(a) && isQuantity(b) && compareQuantity(parseQuantity(a), parseQuantity(b)) > 0;
}

function validateLimits(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const types = new Set<string>();
  limitsOf(object).forEach((item, index) => {
    const field = `spec.limits[${index}]`;
    if (!item.type) problems.required(`${field}.type`);
    if (types.has(item.type)) problems.duplicate(`${field}.type`, item.type);
    types.add(item.type);
    const { min = {}, max = {}, default: byDefault = {}, defaultRequest = {} } = item;
    if (item.type === "Pod") {
      if (Object.keys(byDefault).length > 0)
        problems.forbidden(`${field}.default`, "may not be specified when `type` is 'Pod'");
      if (Object.keys(defaultRequest).length > 0) {
        problems.forbidden(`${field}.defaultRequest`, "may not be specified when `type` is 'Pod'");
      }
    }
    const say = (part: string, name: string, a: unknown, than: string, b: unknown): void =>
      problems.invalid(
        `${field}.${part}[${name}]`,
        String(a),
        `${part === "defaultRequest" ? "default request" : part} value ${String(a)} is greater than ${than} value ${String(b)}`,
      );
    for (const [name, value] of Object.entries(min))
      if (more(value, max[name])) say("min", name, value, "max", max[name]);
    for (const [name, value] of Object.entries(defaultRequest)) {
      if (more(value, max[name])) say("defaultRequest", name, value, "max", max[name]);
      if (more(value, byDefault[name])) say("defaultRequest", name, value, "default limit", byDefault[name]);
    }
    for (const [name, value] of Object.entries(byDefault))
      if (more(value, max[name])) say("default", name, value, "max", max[name]);
    for (const [name, value] of Object.entries(min)) {
      if (more(value, defaultRequest[name])) say("min", name, value, "default request", defaultRequest[name]);
      if (more(value, byDefault[name])) say("min", name, value, "default", byDefault[name]);
    }
  });
  return problems.causes;
}

/** A maximum is also the default limit; a default limit, else the minimum, is the default request (containers only). */
function fillLimits(object: KubeObject): void {
  for (const item of limitsOf(object)) {
    if (item.type !== "Container") continue;
    item.default = { ...item.max, ...item.default };
    item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest };
    for (const part of ["default", "defaultRequest"] as const) {
      if (Object.keys(item[part] ?? {}).length === 0) delete item[part];
    }
  }
}

export const limitRange: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "LimitRange",
  resource: "limitranges",
  shortNames: ["limits"],
  strategy: { defaults: fillLimits, validate: validateLimits, validateUpdate: validateLimits },
  table: table({
    column: { name: "Created At", type: "string", description: "When it was made", priority: 0 },
    cell: (one: KubeObject) => one.metadata.creationTimestamp ?? "",
  }),
});

type Quota = { hard?: Amounts; used?: Amounts; scopes?: string[] };

const quotaScopes = [
  "BestEffort",
  "CrossNamespacePodAffinity",
  "NotBestEffort",
  "NotTerminating",
  "PriorityClass",
  "Terminating",
  "VolumeAttributesClass",
];
/** What may be limited by a short name; all else goes by "count/resource.group" or a qualified name. */
const quotaNames = new Set([
  ..."cpu,memory,ephemeral-storage,requests.cpu,requests.memory,requests.storage".split(","),
  ..."requests.ephemeral-storage,limits.cpu,limits.memory,limits.ephemeral-storage".split(","),
  ..."pods,resourcequotas,services,replicationcontrollers,secrets,persistentvolumeclaims,configmaps".split(","),
  ..."services.nodeports,services.loadbalancers".split(","),
]);

/** What can only be counted. */
const countedNames = new Set([
  ..."pods,services,replicationcontrollers,resourcequotas,secrets,configmaps,persistentvolumeclaims".split(","),
  ..."services.nodeports,services.loadbalancers".split(","),
]);

function quotaName(name: string, field: string, problems: Problems): void {
  problems.invalidAll(field, name, labelKeyProblems(name));
  if (name.includes("/") || quotaNames.has(name) || /^(requests\.)?hugepages-/.test(name)) return;
  if (name !== "storage") problems.invalid(field, name, "must be a standard resource type or fully qualified");
  problems.invalid(field, name, "must be a standard resource for quota");
}

function validateQuota(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { hard = {}, scopes = [] } = (object["spec"] ?? {}) as Quota;
  for (const [name, value] of Object.entries(hard)) {
    quotaName(name, `spec.hard[${name}]`, problems);
    if (!isQuantity(value)) problems.invalid(`spec.hard[${name}]`, value, "must be a quantity");
    else if (parseQuantity(value).nano < 0n) {
      problems.invalid(`spec.hard[${name}]`, value, "must be greater than or equal to 0");
    } else if (countedNames.has(name) && parseQuantity(value).nano % 1_000_000_000n !== 0n) {
      problems.invalid(`spec.hard[${name}]`, value, "must be an integer");
    }
  }
  if (scopes.some((scope) => !quotaScopes.includes(scope)))
    problems.invalid("spec.scopes", scopes, "unsupported scope");
  const conflicting = [
    ["BestEffort", "NotBestEffort"],
    ["Terminating", "NotTerminating"],
  ].some((pair) => pair.every((scope) => scopes.includes(scope)));
  if (conflicting) problems.invalid("spec.scopes", scopes, "conflicting scopes");
  return problems.causes;
}

/** "cpu: 1/4, pods: 3/10" for names with (or without) the given beginning. */
function usage(object: KubeObject, limits: boolean): string {
  const { hard = {}, used = {} } = (object["status"] ?? {}) as Quota;
  return Object.keys(hard)
    .filter((name) => name.startsWith("limits.") === limits)
    .toSorted()
    .map((name) => `${name}: ${used[name] ?? 0}/${hard[name]}`)
    .join(", ");
}

export const resourceQuota: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "ResourceQuota",
  resource: "resourcequotas",
  shortNames: ["quota"],
  strategy: withStatus({
    validate: validateQuota,
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.add(validateQuota(object));
      const scopes = (one: KubeObject): unknown => (one["spec"] as { scopes?: string[] } | undefined)?.scopes;
      problems.immutable("spec.scopes", scopes(object), scopes(old));
      return problems.causes;
    },
  }),
  table: table(
    shows("Request", "Requests used, of those allowed", (one) => usage(one, false)),
    shows("Limit", "Limits used, of those allowed", (one) => usage(one, true)),
    showsAge,
  ),
  subresources: [statusSubresource()],
});
