/** autoscaling/v1: the same autoscalers with only a CPU target; the rest of them is kept in annotations. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { define, shows, showsAge, statusSubresource, table } from "../define.ts";
import type { ResourceDefinition } from "../definition.ts";
import { horizontalPodAutoscaler as modern } from "./autoscaling.ts";

interface Metric {
  type?: string;
  resource?: {
    name?: string;
    target?: { type?: string; averageUtilization?: number };
    current?: { averageUtilization?: number };
  };
}
type Struct = Record<string, unknown>;

/** Where v1 keeps what it has no fields for. */
const kept = {
  metrics: "autoscaling.alpha.kubernetes.io/metrics",
  behavior: "autoscaling.alpha.kubernetes.io/behavior",
  currentMetrics: "autoscaling.alpha.kubernetes.io/current-metrics",
  conditions: "autoscaling.alpha.kubernetes.io/conditions",
} as const;

const isCpu = ({ type, resource }: Metric): boolean =>
  type === "Resource" &&
  resource?.name === "cpu" &&
  (resource.target?.averageUtilization ?? resource.current) !== undefined;

export function toOld(object: KubeObject): KubeObject {
  const { metrics = [], behavior, ...spec } = (object["spec"] ?? {}) as Struct & { metrics?: Metric[] };
  const { currentMetrics, conditions, ...status } = (object["status"] ?? {}) as Struct & {
    currentMetrics?: Metric[] | null;
  };
  const cpu = metrics.find(isCpu);
  const now = currentMetrics?.find(isCpu)?.resource?.current?.averageUtilization;
  const others = metrics.filter((one) => one !== cpu);
  const annotations = { ...object.metadata.annotations };
  const keep = (name: string, value: unknown): void => {
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) annotations[name] = JSON.stringify(value);
  };
  keep(kept.metrics, others);
  keep(kept.behavior, behavior);
  keep(kept.currentMetrics, currentMetrics ?? undefined);
  keep(kept.conditions, conditions);
  return {
    ...object,
    apiVersion: "autoscaling/v1",
    metadata: { ...object.metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: {
      ...spec,
      ...(cpu ? { targetCPUUtilizationPercentage: cpu.resource?.target?.averageUtilization } : {}),
    },
    status: {
      currentReplicas: 0,
      desiredReplicas: 0,
      ...status,
      ...(now === undefined ? {} : { currentCPUUtilizationPercentage: now }),
    },
  };
}

export function fromOld(object: KubeObject): KubeObject {
  const { targetCPUUtilizationPercentage: percent, ...spec } = (object["spec"] ?? {}) as Struct;
  const { currentCPUUtilizationPercentage: _, ...status } = (object["status"] ?? {}) as Struct;
  const annotations = { ...object.metadata.annotations };
  const taken = (name: string): unknown => {
    const text = annotations[name];
    delete annotations[name];
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      // Somebody's own text: there is nothing in it for us.
      return undefined;
    }
  };
  const others = taken(kept.metrics) as Metric[] | undefined;
  const behavior = taken(kept.behavior);
  const currentMetrics = taken(kept.currentMetrics);
  const conditions = taken(kept.conditions);
  const cpu =
    percent === undefined
      ? []
      : [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: percent } } }];
  const metrics = [...(others ?? []), ...cpu];
  const { annotations: _a, ...metadata } = object.metadata;
  return {
    ...object,
    apiVersion: "autoscaling/v2",
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: { ...spec, ...(metrics.length > 0 ? { metrics } : {}), ...(behavior === undefined ? {} : { behavior }) },
    status: {
      ...status,
      currentMetrics: currentMetrics ?? null,
      ...(conditions === undefined ? {} : { conditions }),
    },
  };
}

interface Old extends KubeObject {
  spec?: {
    scaleTargetRef?: { kind?: string; name?: string };
    minReplicas?: number;
    maxReplicas?: number;
    targetCPUUtilizationPercentage?: number;
  };
  status?: { currentReplicas?: number; currentCPUUtilizationPercentage?: number };
}

export const oldHorizontalPodAutoscaler: ResourceDefinition = define({
  group: "autoscaling",
  version: "v1",
  kind: "HorizontalPodAutoscaler",
  resource: "horizontalpodautoscalers",
  shortNames: ["hpa"],
  categories: ["all"],
  storedAs: {
    group: "autoscaling",
    version: "v2",
    resource: "horizontalpodautoscalers",
    toStored: fromOld,
    fromStored: toOld,
  },
  strategy: {
    defaults(object) {
      const { spec } = object as Old;
      if (!spec) return;
      spec.minReplicas ??= 1;
      // As v2 has it when it names no metrics.
      if (object.metadata.annotations?.[kept.metrics] === undefined) spec.targetCPUUtilizationPercentage ??= 80;
    },
    prepareForCreate(object) {
      object["status"] = { currentReplicas: 0, desiredReplicas: 0 };
    },
    prepareForUpdate(object, old) {
      object["status"] = old["status"];
    },
    validate: (object, context) => modern.strategy.validate?.(fromOld(object), context) ?? [],
    validateUpdate: (object, old, context) =>
      modern.strategy.validateUpdate?.(fromOld(object), fromOld(old), context) ?? [],
  },
  table: table<Old>(
    shows(
      "Reference",
      "What it scales",
      (one) => `${one.spec?.scaleTargetRef?.kind}/${one.spec?.scaleTargetRef?.name}`,
    ),
    shows("Targets", "Where the metrics are, and should be", (one) => {
      const now = one.status?.currentCPUUtilizationPercentage;
      const target = one.spec?.targetCPUUtilizationPercentage;
      return `cpu: ${now === undefined ? "<unknown>" : `${now}%`}/${target === undefined ? "<auto>" : `${target}%`}`;
    }),
    shows("MinPods", "Never fewer", (one) => String(one.spec?.minReplicas ?? "<unset>")),
    shows("MaxPods", "Never more", (one) => one.spec?.maxReplicas ?? 0, { type: "integer" }),
    shows("Replicas", "How many there are", (one) => one.status?.currentReplicas ?? 0, { type: "integer" }),
    showsAge,
  ),
  subresources: [statusSubresource()],
});
