/**
 * HorizontalPodAutoscalers: looks every fifteen seconds at what the Pods of a workload use, and scales it through its
 * scale subresource. Measurements come from metrics.k8s.io, whoever serves it.
 */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { objectKey, parseApiVersion } from "../../../../common/kube/object.ts";
import { formatQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import { parseLabelSelector } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { timestamp } from "../../../../common/kube/clock.ts";
import { commit } from "../kernel/committer.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { text } from "../kernel/controller.ts";
import { goSelector } from "../kernel/go-format.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Condition } from "../kernel/pods.ts";
import { limitChange } from "./behavior.ts";
import type { Memory } from "./behavior.ts";
import { MetricUnavailable, proposeReplicas } from "./replicas.ts";
import type { Measured, Proposal, ResourceMetric } from "./replicas.ts";
import { Rivals } from "./rivals.ts";
import type { Autoscaler, MetricSpec } from "./types.ts";

const SYNC_MILLIS = 15_000;
const TOLERANCE = 0.1;

interface Scale extends KubeObject {
  spec?: { replicas?: number };
  status?: { replicas?: number; selector?: string };
}

interface PodMetrics extends KubeObject {
  timestamp: string;
  window: string;
  containers: { name: string; usage: Record<string, string> }[];
}

/** What all metrics together call for. */
interface Wish {
  replicas: number;
  metric: string;
  current: object[];
}

export const horizontalPodAutoscaler: ControllerDefinition = {
  name: "horizontal-pod-autoscaler",
  concurrency: 4,
  setup({ client, informers, events, clock, resources }, keys) {
    const autoscalers = informers.for<Autoscaler>(kinds.horizontalPodAutoscalers);
    const pods = informers.for<Pod>(kinds.pods);
    const memories = new Map<string, Memory>();
    const rivals = new Rivals();
    autoscalers.addHandler({
      add: (autoscaler) => keys.add(objectKey(autoscaler)),
      update: (autoscaler, old) => {
        if (autoscaler.metadata.generation !== old.metadata.generation) keys.add(objectKey(autoscaler));
      },
      delete: (autoscaler) => {
        memories.delete(objectKey(autoscaler));
        rivals.forget(objectKey(autoscaler));
      },
    });

    async function measure(namespace: string, selector: string): Promise<Map<string, Measured>> {
      const { items } = await client.list<PodMetrics>(
        { group: "metrics.k8s.io", version: "v1beta1", resource: "pods" },
        { namespace, labelSelector: selector },
      );
      return new Map(
        items.map((item) => [
          item.metadata.name ?? "",
          {
            at: Date.parse(item.timestamp),
            windowMillis: Number.parseFloat(item.window) * 1000,
            containers: new Map(item.containers.map(({ name, usage }) => [name, usage])),
          },
        ]),
      );
    }

    /** Every metric has its say, and the largest number counts; one that fails only keeps us from scaling down. */
    async function wish(autoscaler: Autoscaler, scale: Scale, current: number): Promise<Wish> {
      const { namespace = "" } = autoscaler.metadata;
      const selector = scale.status?.selector ?? "";
      if (selector === "")
        throw new Refused("InvalidSelector", "the HPA target's scale is missing a selector", { whole: true });
      const matches = parseLabelSelector(selector);
      const own = pods.list(namespace).filter(({ metadata }) => matches.matches(metadata.labels));
      const others = rivals.over(objectKey(autoscaler), matches, own);
      if (others.length > 1) {
        const message = `pods by selector ${selector} are controlled by multiple HPAs: [${others.join(" ")}]`;
        throw new Refused("AmbiguousSelector", message, { whole: true });
      }
      const { scaleUp, scaleDown } = autoscaler.spec.behavior ?? {};
      const fraction = (given: string | undefined): number =>
        given === undefined ? TOLERANCE : Number(parseQuantity(given).nano) / 1e9;
      let best: Wish | undefined;
      let failure: Refused | undefined;
      let failures = 0;
      const seen: object[] = [];
      for (const spec of metricsOf(autoscaler)) {
        try {
          const metric = resourceOf(spec, namespace);
          const measured = await measure(namespace, selector).catch((error: unknown) => {
            throw new MetricUnavailable(
              `unable to get metrics for resource ${metric.resource}: unable to fetch metrics from resource metrics API: ${text(error)}`,
            );
          });
          const proposal = proposeReplicas({
            metric,
            current,
            pods: own,
            measured,
            nowMillis: clock.now(),
            tolerance: { up: fraction(scaleUp?.tolerance), down: fraction(scaleDown?.tolerance) },
          });
          seen.push(currentMetric(spec, metric, proposal));
          if (!best || proposal.replicas > best.replicas)
            best = { replicas: proposal.replicas, metric: nameOf(metric), current: seen };
        } catch (error) {
          if (!(error instanceof MetricUnavailable || error instanceof Refused)) throw error;
          failures += 1;
          failure ??= error instanceof Refused ? error : failedMetric(spec, namespace, error.message);
        }
      }
      if (failure && (!best || best.replicas < current)) {
        failure.failures = failures;
        throw failure;
      }
      if (!best) throw new Refused("InvalidMetricSourceType", "the HPA has no metrics");
      return best;
    }

    async function reconcile(key: string): Promise<{ again: number } | undefined> {
      const autoscaler = autoscalers.get(key);
      if (!autoscaler || autoscaler.metadata.deletionTimestamp) return undefined;
      const conditions = new Conditions(autoscaler, timestamp(clock.now()));
      const { scaleTargetRef: target, minReplicas = 1, maxReplicas } = autoscaler.spec;
      const { namespace = "" } = autoscaler.metadata;
      const finish = async (change: Partial<NonNullable<Autoscaler["status"]>>): Promise<{ again: number }> => {
        const status = {
          ...autoscaler.status,
          observedGeneration: autoscaler.metadata.generation,
          ...change,
          conditions: conditions.all(),
        };
        await commit(client, kinds.horizontalPodAutoscalers, autoscaler, { ...autoscaler, status } as Autoscaler);
        return { again: SYNC_MILLIS };
      };

      const { group } = parseApiVersion(target.apiVersion ?? "v1");
      const info = resources().find((one) => one.group === group && one.kind === target.kind);
      const reference = info && {
        group: info.group,
        version: info.version,
        resource: info.resource,
        namespace,
        name: target.name,
        subresource: "scale",
      };
      let scale: Scale;
      try {
        if (!reference) throw new Error(`no matches for kind "${target.kind}" in group "${group}"`);
        scale = await client.get<Scale>(reference);
      } catch (error) {
        events.record(autoscaler, "Warning", "FailedGetScale", text(error));
        const message = `the HPA controller was unable to get the target's current scale: ${text(error)}`;
        conditions.set("AbleToScale", "False", "FailedGetScale", message);
        return finish({});
      }
      const succeeded = "the HPA controller was able to get the target's current scale";
      conditions.set("AbleToScale", "True", "SucceededGetScale", succeeded);
      const current = scale.spec?.replicas ?? 0;
      const running = scale.status?.replicas ?? 0;
      if (current === 0 && minReplicas !== 0) {
        const message = "scaling is disabled since the replica count of the target is zero";
        conditions.set("ScalingActive", "False", "ScalingDisabled", message);
        return finish({ currentReplicas: running, desiredReplicas: 0, currentMetrics: [] });
      }

      let desired = current;
      let reason = "";
      let currentMetrics = autoscaler.status?.currentMetrics ?? [];
      if (current > maxReplicas) {
        desired = maxReplicas;
        reason = "Current number of replicas above Spec.MaxReplicas";
      } else if (current < minReplicas) {
        desired = minReplicas;
        reason = "Current number of replicas below Spec.MinReplicas";
      } else {
        try {
          const wished = await wish(autoscaler, scale, current);
          currentMetrics = wished.current;
          const found = `the HPA was able to successfully calculate a replica count from ${wished.metric}`;
          conditions.set("ScalingActive", "True", "ValidMetricFound", found);
          // Whoever begins to look knows nothing of the past: what is there was wished for until now.
          const memory = memories.get(key) ?? {
            wishes: [{ atMillis: clock.now(), replicas: current }],
            added: [],
            removed: [],
          };
          memories.set(key, memory);
          const result = limitChange(autoscaler, current, wished.replicas, memory, clock.now());
          conditions.set("AbleToScale", "True", result.able.reason, result.able.message);
          conditions.set("ScalingLimited", result.limited.status, result.limited.reason, result.limited.message);
          desired = result.replicas;
          if (desired > current) {
            reason = `${wished.metric} above target`;
            memory.added.push({ atMillis: clock.now(), replicas: desired - current });
          } else if (desired < current) {
            reason = "All metrics below target";
            memory.removed.push({ atMillis: clock.now(), replicas: current - desired });
          }
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          events.record(autoscaler, "Warning", error.reason, error.message);
          const { whole, what, failures } = error;
          const first = `invalid metrics (${failures} invalid out of ${metricsOf(autoscaler).length}), first error is: `;
          const failed = `${whole ? "" : first}${what}${error.message}`;
          events.record(autoscaler, "Warning", "FailedComputeMetricsReplicas", failed);
          const message = `${whole ? "" : "the HPA was unable to compute the replica count: "}${error.message}`;
          conditions.set("ScalingActive", "False", error.reason, message);
          return finish({ currentReplicas: running });
        }
      }
      if (desired === current || !reference)
        return finish({ currentReplicas: running, desiredReplicas: desired, currentMetrics });
      try {
        await client.patch(reference, "application/merge-patch+json", { spec: { replicas: desired } });
      } catch (error) {
        if (isStatus(error, "Conflict", "NotFound")) throw error;
        const failed = `New size: ${desired}; reason: ${reason}; error: ${text(error)}`;
        events.record(autoscaler, "Warning", "FailedRescale", failed);
        const message = `the HPA controller was unable to update the target scale: ${text(error)}`;
        conditions.set("AbleToScale", "False", "FailedUpdateScale", message);
        return finish({ currentReplicas: running, desiredReplicas: current, currentMetrics });
      }
      events.record(autoscaler, "Normal", "SuccessfulRescale", `New size: ${desired}; reason: ${reason}`);
      const done = `the HPA controller was able to update the target scale to ${desired}`;
      conditions.set("AbleToScale", "True", "SucceededRescale", done);
      return finish({
        currentReplicas: running,
        desiredReplicas: desired,
        lastScaleTime: timestamp(clock.now()),
        currentMetrics,
      });
    }
    return { reconcile };
  },
};

/** Why it cannot scale: a condition's reason, and the message that belongs to it. */
class Refused extends Error {
  readonly reason: string;
  /** What could not be had: the beginning of the longer message. */
  readonly what: string;
  /** Not one metric is at fault, but what is to be measured. */
  readonly whole: boolean;
  /** How many metrics failed, of which this is the first. */
  failures = 1;
  constructor(reason: string, message: string, { what = "", whole = false } = {}) {
    super(message);
    this.reason = reason;
    this.what = what;
    this.whole = whole;
  }
}

/** CPU at 80 % where nothing is said, as the API has always had it. */
function metricsOf({ spec }: Autoscaler): MetricSpec[] {
  return spec.metrics?.length
    ? spec.metrics
    : [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } }];
}

const NO_CUSTOM_METRICS =
  "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";

/** Throws Refused for metrics that nobody here serves, as Kubernetes answers without an adapter. */
function resourceOf(spec: MetricSpec, namespace: string): ResourceMetric {
  if (spec.type === "Resource" && spec.resource) return { resource: spec.resource.name, target: spec.resource.target };
  if (spec.type === "ContainerResource" && spec.containerResource) {
    const { name, container, target } = spec.containerResource;
    return { resource: name, container, target };
  }
  const refused = (message: string, what: string): Refused =>
    new Refused(`FailedGet${spec.type}Metric`, message, { what });
  const { pods, object, external } = spec;
  if (pods)
    throw refused(
      `unable to get metric ${pods.metric.name}: ${NO_CUSTOM_METRICS}`,
      "failed to get pods metric value: ",
    );
  if (object) {
    const { kind, name } = object.describedObject;
    throw refused(
      `unable to get metric ${object.metric.name}: ${kind} on ${namespace} ${name}/${NO_CUSTOM_METRICS}`,
      "failed to get object metric value: ",
    );
  }
  if (external) {
    const { name, selector } = external.metric;
    throw refused(
      `unable to get external metric ${namespace}/${name}/${goSelector(selector)}: unable to fetch metrics from external metrics API: the server could not find the requested resource (get ${name}.external.metrics.k8s.io)`,
      `failed to get ${name} external metric value: `,
    );
  }
  throw new Refused("InvalidMetricSourceType", `unknown metric source type "${spec.type}"`);
}

function failedMetric(spec: MetricSpec, namespace: string, message: string): Refused {
  const { resource, container } = resourceOf(spec, namespace);
  const what = (spec.resource ?? spec.containerResource)?.target.type === "Utilization" ? "utilization" : "usage";
  return new Refused(`FailedGet${spec.type}Metric`, `failed to get ${resource} ${what}: ${message}`, {
    what: `failed to get ${resource} ${container === undefined ? "resource" : "container"} metric value: `,
  });
}

function nameOf({ resource, container, target }: ResourceMetric): string {
  if (target.type !== "Utilization") return `${resource} resource`;
  return `${resource}${container === undefined ? "" : " container"} resource utilization (percentage of request)`;
}

function currentMetric(spec: MetricSpec, { resource, container }: ResourceMetric, proposal: Proposal): object {
  const nano = BigInt(proposal.average) * (resource === "cpu" ? 1_000_000n : 1_000_000_000n);
  const current = {
    averageValue: formatQuantity({ nano, format: resource === "cpu" ? "DecimalSI" : "BinarySI" }),
    ...(proposal.utilization === undefined ? {} : { averageUtilization: proposal.utilization }),
  };
  return container === undefined
    ? { type: spec.type, resource: { name: resource, current } }
    : { type: spec.type, containerResource: { name: resource, container, current } };
}

class Conditions {
  readonly #conditions: Map<string, Condition>;
  readonly #now: string;

  constructor(autoscaler: Autoscaler, now: string) {
    this.#conditions = new Map((autoscaler.status?.conditions ?? []).map((condition) => [condition.type, condition]));
    this.#now = now;
  }

  set(type: string, status: "True" | "False", reason: string, message: string): void {
    const before = this.#conditions.get(type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : this.#now;
    this.#conditions.set(type, {
      type,
      status,
      ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }),
      reason,
      message,
    });
  }

  all(): Condition[] {
    return [...this.#conditions.values()];
  }
}
