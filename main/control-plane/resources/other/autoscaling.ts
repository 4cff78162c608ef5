/** HorizontalPodAutoscalers (autoscaling/v2). */
import type { IHorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { validateBehavior, validateMetric } from "./autoscaling-metrics.ts";
import { Problems } from "../validation/problems.ts";

type Autoscaler = KubeObject & Pick<IHorizontalPodAutoscaler, "spec" | "status">;
type Spec = NonNullable<IHorizontalPodAutoscaler["spec"]>;
type Metric = NonNullable<Spec["metrics"]>[number];
const specOf = (object: KubeObject): Spec => ((object as Autoscaler).spec ?? {}) as Spec;

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  const { kind, name } = spec.scaleTargetRef ?? {};
  if (!kind) problems.required("spec.scaleTargetRef.kind");
  if (!name) problems.required("spec.scaleTargetRef.name");
  const { minReplicas: least = 1, maxReplicas: most = 0 } = spec;
  if (least < 1) problems.invalid("spec.minReplicas", least, "must be greater than or equal to 1");
  if (most < 1) problems.invalid("spec.maxReplicas", most, "must be greater than 0");
  if (most < least) problems.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`");
  (spec.metrics ?? []).forEach((metric, index) => {
    const field = `spec.metrics[${index}]`;
    validateMetric(metric, field, problems);
  });
  validateBehavior(spec.behavior, "spec.behavior", problems);
  return problems.causes;
}

const UNKNOWN = "<unknown>";
const amount = (value: unknown): string => String(value ?? UNKNOWN);

/** "cpu: 12%/80%"; of metrics that are not of a resource only the two values, as kubectl has always shown them. */
function metricText(metric: Metric, index: number, one: Autoscaler): string {
  const status = one.status?.currentMetrics?.[index];
  const ofResource = metric.resource ?? metric.containerResource;
  if (ofResource) {
    const now = (status?.resource ?? status?.containerResource)?.current;
    const { name, target } = ofResource;
    if (target.averageValue !== undefined)
      return `${name}: ${amount(now?.averageValue)}/${String(target.averageValue)}`;
    const used = now?.averageUtilization;
    const wanted = target.averageUtilization;
    return `${name}: ${used === undefined ? UNKNOWN : `${used}%`}/${wanted === undefined ? "<auto>" : `${wanted}%`}`;
  }
  if (metric.pods) return `${amount(status?.pods?.current.averageValue)}/${amount(metric.pods.target.averageValue)}`;
  const { target } = metric.object ?? metric.external ?? {};
  const now = (status?.object ?? status?.external)?.current;
  if (target?.averageValue !== undefined) return `${amount(now?.averageValue)}/${String(target.averageValue)} (avg)`;
  return `${amount(now?.value)}/${amount(target?.value)}`;
}

function targets(one: Autoscaler): string {
  const metrics = one.spec?.metrics ?? [];
  if (metrics.length === 0) return "<none>";
  const shown = metrics.slice(0, 2).map((metric, index) => metricText(metric, index, one));
  return shown.join(", ") + (metrics.length > 2 ? ` + ${metrics.length - 2} more...` : "");
}

export const horizontalPodAutoscaler: ResourceDefinition = define({
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  resource: "horizontalpodautoscalers",
  shortNames: ["hpa"],
  categories: ["all"],
  strategy: withStatus(
    {
      defaults(object) {
        const spec = specOf(object);
        spec.minReplicas ??= 1;
        if ((spec.metrics ?? []).length === 0) {
          spec.metrics = [
            { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
          ];
        }
        object["spec"] = spec;
      },
      validate,
      validateUpdate: validate,
    },
    () => ({ currentMetrics: null, desiredReplicas: 0 }),
  ),
  table: table<Autoscaler>(
    shows("Reference", "What it scales", (one) => `${one.spec?.scaleTargetRef.kind}/${one.spec?.scaleTargetRef.name}`),
    shows("Targets", "Where the metrics are, and should be", targets),
    shows("MinPods", "Never fewer", (one) => String(one.spec?.minReplicas ?? "<unset>")),
    shows("MaxPods", "Never more", (one) => one.spec?.maxReplicas ?? 0, { type: "integer" }),
    shows("Replicas", "How many there are", (one) => one.status?.currentReplicas ?? 0, { type: "integer" }),
    showsAge,
  ),
  subresources: [statusSubresource()],
});
