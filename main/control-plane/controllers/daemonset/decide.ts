/** Which nodes a DaemonSet's Pod belongs on, and which Pods have to go or come. */
import { copyOf } from "../../../../common/kube/copy.ts";
import type { Node, Pod } from "../../../../common/kube/types.ts";
import { requiredMatcher } from "../../scheduler/plugins/node-affinity.ts";
import type { NodeSelectorTerm } from "../../scheduler/node-terms.ts";
import { untolerated } from "../../scheduler/plugins/taint-toleration.ts";
import type { Toleration } from "../../scheduler/plugins/taint-toleration.ts";
import { resolve } from "../deployment/arithmetic.ts";
import type { IntOrPercent } from "../deployment/arithmetic.ts";
import { hashOf } from "../kernel/history.ts";
import { isAvailable, isReady, isTerminated } from "../kernel/pods.ts";
import type { PodTemplate } from "../kernel/pods.ts";

/** Every daemon tolerates these: it is there because of the node, whatever its state. */
const TOLERATIONS: Toleration[] = [
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/disk-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/pid-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/unschedulable", operator: "Exists", effect: "NoSchedule" },
];
const HOST_NETWORK: Toleration = {
  key: "node.kubernetes.io/network-unavailable",
  operator: "Exists",
  effect: "NoSchedule",
};

interface DaemonPodSpec {
  tolerations?: Toleration[];
  hostNetwork?: boolean;
  affinity?: {
    nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: NodeSelectorTerm[] } };
  };
}

/** The template for one node: with the daemons' tolerations, bound to the node by its name. */
export function templateFor(template: PodTemplate, nodeName: string, hash: string): PodTemplate {
  const spec = copyOf(template.spec ?? {}) as DaemonPodSpec;
  const tolerations = [...(spec.tolerations ?? [])];
  for (const toleration of [...TOLERATIONS, ...(spec.hostNetwork ? [HOST_NETWORK] : [])]) {
    if (
      !tolerations.some(
        ({ key, effect, operator }) => key === toleration.key && effect === toleration.effect && operator === "Exists",
      )
    )
      tolerations.push(toleration);
  }
  const field = { key: "metadata.name", operator: "In", values: [nodeName] };
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  // Terms are alternatives: each of them must name the node.
  const nodeSelectorTerms = (terms ?? [{}]).map((term) => ({ ...term, matchFields: [field] }));
  const affinity = {
    ...spec.affinity,
    nodeAffinity: {
      ...spec.affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms },
    },
  };
  return {
    metadata: { ...template.metadata, labels: { ...template.metadata?.labels, "controller-revision-hash": hash } },
    spec: { ...spec, tolerations, affinity },
  };
}

/** Whether a daemon should start on the node, and whether one that runs there may stay. */
export function nodeWants(template: PodTemplate, node: Node): { run: boolean; stay: boolean } {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: {}, spec: template.spec } as Pod;
  const matches = requiredMatcher(pod);
  const { name = "", labels = {} } = node.metadata;
  if (matches && !matches({ name, labels })) return { run: false, stay: false };
  const spec = (template.spec ?? {}) as DaemonPodSpec;
  const tolerations = [...(spec.tolerations ?? []), ...TOLERATIONS, ...(spec.hostNetwork ? [HOST_NETWORK] : [])];
  const taints = (node.spec?.taints ?? []) as { key: string; value?: string; effect: string }[];
  const stay = untolerated(tolerations, taints, ["NoExecute"]) === undefined;
  return { run: stay && untolerated(tolerations, taints, ["NoSchedule"]) === undefined, stay };
}

/** The node a daemon is on, or is bound for while it waits for the scheduler. */
export function nodeNameOf(pod: Pod): string | undefined {
  if (pod.spec?.nodeName) return pod.spec.nodeName;
  const affinity = pod.spec?.affinity as DaemonPodSpec["affinity"] | undefined;
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms[0]?.matchFields?.find(({ key }) => key === "metadata.name")?.values?.[0];
}

export interface DaemonInput {
  template: PodTemplate;
  nodes: readonly Node[];
  /** The DaemonSet's own. */
  pods: readonly Pod[];
  /** Of the present template. */
  hash: string;
  strategy: { type?: string; rollingUpdate?: { maxUnavailable?: IntOrPercent; maxSurge?: IntOrPercent } } | undefined;
  minReadySeconds: number;
  nowMillis: number;
}

export interface DaemonPlan {
  /** Nodes to start a daemon on. */
  create: string[];
  remove: Pod[];
  /** Ended badly: removed, so that they start anew. */
  failed: Pod[];
}

export function decideDaemons(input: DaemonInput): DaemonPlan {
  const { template, nodes, pods, hash, nowMillis, minReadySeconds } = input;
  const plan: DaemonPlan = { create: [], remove: [], failed: [] };
  const byNode = Map.groupBy(pods, (pod) => nodeNameOf(pod) ?? "");
  const known = new Set(nodes.map(({ metadata }) => metadata.name ?? ""));
  const isNew = (pod: Pod): boolean => hashOf(pod) === hash;
  const ok = (pod: Pod | undefined): boolean => pod !== undefined && isAvailable(pod, minReadySeconds, nowMillis);
  const wanted = nodes.filter((node) => nodeWants(template, node).run).length;
  const rolling = input.strategy?.type !== "OnDelete";
  const surge = rolling ? resolve(input.strategy?.rollingUpdate?.maxSurge ?? 0, wanted, "up") : 0;
  const unavailable = Math.max(
    surge > 0 ? 0 : 1,
    resolve(input.strategy?.rollingUpdate?.maxUnavailable ?? 1, wanted, "up"),
  );
  let missing = 0;
  let surging = 0;
  const outdated: { old: Pod; fresh: Pod | undefined; node: string }[] = [];

  for (const node of nodes) {
    const name = node.metadata.name ?? "";
    const { run, stay } = nodeWants(template, node);
    const here = byNode.get(name) ?? [];
    const ended = here.filter((pod) => isTerminated(pod) && pod.metadata.deletionTimestamp === undefined);
    const living = here.filter((pod) => !isTerminated(pod) && pod.metadata.deletionTimestamp === undefined);
    if (!stay || (!run && living.length === 0)) {
      plan.remove.push(...(stay ? ended : [...living, ...ended]));
      continue;
    }
    plan.failed.push(...ended);
    if (here.length === 0) plan.create.push(name);
    const old = living.filter((pod) => !isNew(pod)).toSorted(byAge);
    const fresh = living.filter(isNew).toSorted(byAge);
    // One of each kind at most.
    plan.remove.push(...old.slice(1), ...fresh.slice(1));
    if (old[0]) outdated.push({ old: old[0], fresh: fresh[0], node: name });
    if (run && !ok(old[0]) && !ok(fresh[0])) missing += 1;
    if (old[0] && fresh[0]) surging += 1;
  }
  // Nodes that are gone: the Pods' own garbage collection is for those, but what waits for them never starts.
  for (const [name, there] of byNode)
    if (!known.has(name))
      plan.remove.push(
        ...there.filter(({ spec, metadata }) => !spec?.nodeName && metadata.deletionTimestamp === undefined),
      );

  let mayLose = unavailable - missing;
  let maySurge = surge - surging;
  for (const { old, fresh, node } of outdated) {
    if (fresh) {
      // Side by side: the old one goes once the new one serves.
      if (ok(fresh)) plan.remove.push(old);
    } else if (!rolling) continue;
    else if (!ok(old)) plan.remove.push(old);
    else if (surge > 0) {
      if (maySurge <= 0) continue;
      maySurge -= 1;
      plan.create.push(node);
    } else if (mayLose > 0) {
      mayLose -= 1;
      plan.remove.push(old);
    }
  }
  return plan;
}

function byAge(a: Pod, b: Pod): number {
  return (a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? -1 : 1;
}

export interface DaemonStatus {
  currentNumberScheduled: number;
  numberMisscheduled: number;
  desiredNumberScheduled: number;
  numberReady: number;
  observedGeneration?: number;
  updatedNumberScheduled?: number;
  numberAvailable?: number;
  numberUnavailable?: number;
  collisionCount?: number;
}

export function decideDaemonStatus(
  input: DaemonInput,
  generation: number,
  collisionCount: number | undefined,
): DaemonStatus {
  const byNode = Map.groupBy(input.pods, (pod) => nodeNameOf(pod) ?? "");
  const status = { desired: 0, current: 0, misscheduled: 0, ready: 0, updated: 0, available: 0 };
  for (const node of input.nodes) {
    const pods = (byNode.get(node.metadata.name ?? "") ?? []).toSorted(byAge);
    if (!nodeWants(input.template, node).run) {
      if (pods.length > 0) status.misscheduled += 1;
      continue;
    }
    status.desired += 1;
    const first = pods.find(isReady) ?? pods[0];
    if (!first) continue;
    status.current += 1;
    if (pods.some((pod) => hashOf(pod) === input.hash)) status.updated += 1;
    if (isReady(first) && first.metadata.deletionTimestamp === undefined) {
      status.ready += 1;
      if (isAvailable(first, input.minReadySeconds, input.nowMillis)) status.available += 1;
    }
  }
  const positive = (name: string, value: number): object => (value > 0 ? { [name]: value } : {});
  return {
    currentNumberScheduled: status.current,
    numberMisscheduled: status.misscheduled,
    desiredNumberScheduled: status.desired,
    numberReady: status.ready,
    observedGeneration: generation,
    ...positive("updatedNumberScheduled", status.updated),
    ...positive("numberAvailable", status.available),
    ...positive("numberUnavailable", status.desired - status.available),
    ...(collisionCount ? { collisionCount } : {}),
  };
}
