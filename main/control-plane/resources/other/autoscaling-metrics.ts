/** What is asked of a HorizontalPodAutoscaler's metrics and its behaviour (autoscaling/v2). */
import type { IHorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { isQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import type { Problems } from "../validation/problems.ts";

type Spec = NonNullable<IHorizontalPodAutoscaler["spec"]>;
type Metric = NonNullable<Spec["metrics"]>[number];
type Behavior = NonNullable<Spec["behavior"]>;
type Rules = NonNullable<Behavior["scaleUp"]>;
interface Target {
  type?: string;
  value?: unknown;
  averageValue?: unknown;
  averageUtilization?: number;
}

/** Type → the field that says more of it. */
const sources = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
} as const;
const longestWindow = 3600;
const longestPeriod = 1800;

export function validateMetric(metric: Metric, field: string, problems: Problems): void {
  problems.oneOf(`${field}.type`, metric.type, Object.keys(sources));
  const part = sources[metric.type as keyof typeof sources] as (typeof sources)[keyof typeof sources] | undefined;
  if (!part) return;
  const given = metric[part];
  const path = `${field}.${part}`;
  for (const other of Object.values(sources))
    if (other !== part && metric[other])
      problems.forbidden(`${field}.${other}`, "must populate the given metric source only");
  if (!given) {
    problems.required(path, "must populate information for the given metric source");
    return;
  }
  const target = (given.target ?? {}) as Target;
  if ("name" in given || part === "resource" || part === "containerResource") {
    if (!(given as { name?: string }).name) problems.required(`${path}.name`, "must specify a resource name");
  } else if (!(given as { metric?: { name?: string } }).metric?.name) {
    problems.required(`${path}.metric.name`, "must specify a metric name");
  }
  if (metric.containerResource && !metric.containerResource.container)
    problems.required(`${path}.container`, "must specify a container");
  if (part === "object") {
    const { kind, name } = metric.object?.describedObject ?? {};
    if (!kind) problems.required(`${path}.describedObject.kind`);
    if (!name) problems.required(`${path}.describedObject.name`);
  }
  validateTarget(target, `${path}.target`, problems);
  validateChoice(part, target, `${path}.target`, problems);
}

function validateTarget(target: Target, field: string, problems: Problems): void {
  const { type = "", averageUtilization } = target;
  if (type === "") problems.required(`${field}.type`, "must specify a metric target type");
  if (!["Utilization", "Value", "AverageValue"].includes(type))
    problems.invalid(`${field}.type`, type, "must be either Utilization, Value, or AverageValue");
  for (const part of ["value", "averageValue"] as const) {
    const value = target[part];
    if (isQuantity(value) && parseQuantity(value).nano <= 0n)
      problems.invalid(`${field}.${part}`, value, "must be positive");
  }
  if (averageUtilization !== undefined && averageUtilization < 1)
    problems.invalid(`${field}.averageUtilization`, averageUtilization, "must be greater than 0");
}

/** Which of the target's values the metric may and must have. */
function validateChoice(part: string, target: Target, field: string, problems: Problems): void {
  const { value, averageValue, averageUtilization } = target;
  if (part === "resource" || part === "containerResource") {
    if (averageUtilization === undefined && averageValue === undefined) {
      const words = "must set either a target raw value or a target utilization";
      problems.required(`${field}.averageUtilization`, words);
    }
    if (averageUtilization !== undefined && averageValue !== undefined)
      problems.forbidden(`${field}.averageValue`, "may not set both a target raw value and a target utilization");
  } else if (part === "pods") {
    if (averageValue === undefined)
      problems.required(`${field}.averageValue`, "must specify a positive target averageValue");
  } else if (value === undefined && averageValue === undefined) {
    const words =
      part === "object"
        ? "must set either a target value or averageValue"
        : "must set either a target value for metric or a per-pod target";
    problems.required(`${field}.averageValue`, words);
  } else if (part === "external" && value !== undefined && averageValue !== undefined) {
    problems.forbidden(`${field}.value`, "may not set both a target value for metric and a per-pod target");
  }
}

export function validateBehavior(behavior: Behavior | undefined, field: string, problems: Problems): void {
  for (const part of ["scaleUp", "scaleDown"] as const) {
    const rules = behavior?.[part];
    if (rules) validateRules(rules, `${field}.${part}`, problems);
  }
}

function validateRules(rules: Rules, field: string, problems: Problems): void {
  const { stabilizationWindowSeconds: seconds, selectPolicy, policies = [] } = rules;
  if (seconds !== undefined && seconds < 0)
    problems.invalid(`${field}.stabilizationWindowSeconds`, seconds, "must be greater than or equal to zero");
  if (seconds !== undefined && seconds > longestWindow)
    problems.invalid(`${field}.stabilizationWindowSeconds`, seconds, `must be less than or equal to ${longestWindow}`);
  if (selectPolicy !== undefined) problems.oneOf(`${field}.selectPolicy`, selectPolicy, ["Disabled", "Max", "Min"]);
  if (policies.length === 0) problems.required(`${field}.policies`, "must specify at least one Policy");
  policies.forEach(({ type, value, periodSeconds }, index) => {
    const path = `${field}.policies[${index}]`;
    problems.oneOf(`${path}.type`, type, ["Percent", "Pods"]);
    if (value <= 0) problems.invalid(`${path}.value`, value, "must be greater than zero");
    if (periodSeconds <= 0) problems.invalid(`${path}.periodSeconds`, periodSeconds, "must be greater than zero");
    if (periodSeconds > longestPeriod)
      problems.invalid(`${path}.periodSeconds`, periodSeconds, `must be less than or equal to ${longestPeriod}`);
  });
}
