/**
 * Why a Pod is where it is, or is nowhere: every filter and score of every node, asked anew as things stand now.
 * Of a Pod that has its node it says what would be decided if it came again.
 */
import type { NodeReport, PodReport, Remedy } from "../../../common/kube/explain.ts";
import type { Pod } from "../../../common/kube/types.ts";
import type { ClusterCache } from "./cache.ts";
import { remediesFor } from "./counterfactual.ts";
import { explain, filterKeepingRoom } from "./cycle.ts";
import { prepareAll, scoreNodes } from "./ready.ts";
import type { Ready, Refused } from "./ready.ts";
import type { SchedulerView } from "./index.ts";
import { PodInfo } from "./model.ts";
import type { NodeInfo } from "./model.ts";

/** Nodes that are told of one by one; the summary counts all. */
const MOST_NODES = 200;

export function explainPod(view: SchedulerView, pod: Pod): PodReport {
  const profile = view.profileFor(pod);
  const { cluster } = view;
  const none = { considered: 0, fitting: 0, nodes: [], remedies: [] };
  const { nodeName, schedulerName, schedulingGates = [] } = pod.spec ?? {};
  if (!profile) {
    const ours = view.schedulerNames.map((name) => JSON.stringify(name)).join(", ");
    const summary = `left to the scheduler ${JSON.stringify(schedulerName)}, which is not this one (${ours}): without it the Pod waits for ever`;
    return { state: "NotOurs", summary: nodeName ? `placed on ${nodeName} by another scheduler` : summary, ...none };
  }
  if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed")
    return {
      state: "Finished",
      summary: `it has ended (${pod.status.phase})${nodeName ? ` on ${nodeName}` : ""}`,
      ...none,
    };
  const info = new PodInfo({
    ...pod,
    spec: { ...pod.spec, containers: pod.spec?.containers ?? [], nodeName: "" },
  } as Pod);
  // Its own place must not stand in its way.
  const restore = cluster.lift(info.uid);
  try {
    const report = judge(info, cluster, view);
    if (nodeName) return { ...report, state: "Scheduled", summary: scheduledSummary(nodeName, report), remedies: [] };
    const queued = view.queued(info.uid);
    const nominated = cluster.nomination(info.uid);
    const waiting = {
      ...report,
      ...(queued ? { queue: queued.state, attempts: queued.attempts } : {}),
      ...(nominated ? { nominatedNode: nominated } : {}),
    };
    if (schedulingGates.length > 0) {
      const gates = schedulingGates.map(({ name }) => name).join(", ");
      const text = `remove the scheduling gate${schedulingGates.length > 1 ? "s" : ""} ${gates}`;
      const remedy: Remedy = { text, nodes: [], changes: [{ target: "Pod", name: info.key, text }] };
      return { ...waiting, state: "Gated", summary: `held back by ${gates}`, remedies: [remedy, ...report.remedies] };
    }
    if (report.fitting > 0)
      return {
        ...waiting,
        state: "Pending",
        summary: `${report.fitting} of ${report.considered} nodes fit: it is about to be bound`,
      };
    return { ...waiting, state: "Pending" };
  } finally {
    restore();
  }
}

function scheduledSummary(node: string, { fitting, considered, nodes }: PodReport): string {
  const place = nodes.findIndex(({ name }) => name === node);
  const there = nodes[place];
  if (!there?.fits) return `runs on ${node}; it would not be put there now`;
  // Among equals one is taken by chance: none of them is better than another.
  const better = nodes.filter(({ fits, total }) => fits && total > there.total).length;
  const equals = nodes.filter(({ fits, total }) => fits && total === there.total).length;
  const rank = better > 0 ? `number ${better + 1}` : equals > 1 ? "as good as any" : "the best";
  return `runs on ${node}, ${rank} of ${fitting} that fit (${considered} nodes)`;
}

function judge(info: PodInfo, cluster: ClusterCache, view: SchedulerView): PodReport {
  const profile = view.profileFor(info.pod);
  const plugins = profile?.plugins ?? [];
  const ready = prepareAll(plugins, info, cluster);
  const impossible = ready.find(({ prepared }) => prepared.impossible !== undefined);
  const why = new Map<string, Refused>();
  const fitting: NodeInfo[] = [];
  const refused: NodeReport[] = [];
  for (const node of cluster.nodes) {
    const refusals = refusalsOf(ready, node);
    const kept = refusals.length === 0 ? filterKeepingRoom(plugins, ready, info, cluster, node) : undefined;
    if (kept)
      refusals.push({
        ...kept,
        refusal: {
          ...kept.refusal,
          reasons: kept.refusal.reasons.map((reason) => `${reason} (room is kept for a nominated Pod)`),
        },
      });
    const first = refusals[0];
    if (!first) {
      fitting.push(node);
      continue;
    }
    why.set(node.name, first);
    refused.push({
      name: node.name,
      fits: false,
      refusals: refusals.map(({ plugin, refusal }) => ({
        plugin,
        reasons: [...(refusal.details ?? refusal.reasons)],
        preemptionMayHelp: !refusal.unresolvable,
      })),
      scores: [],
      total: 0,
    });
  }
  const scored = reportScores(ready, fitting);
  const considered = cluster.nodes.length;
  const all = impossible?.prepared.impossible && {
    plugin: impossible.plugin.name,
    refusal: impossible.prepared.impossible,
  };
  const summary = fitting.length > 0 ? "" : explain({ why, ...(all ? { all } : {}) }, considered);
  return {
    state: "Pending",
    summary,
    considered,
    fitting: fitting.length,
    nodes: [...scored, ...refused].slice(0, MOST_NODES),
    remedies: fitting.length > 0 ? [] : remediesFor(info, cluster, plugins, refused),
  };
}

/** A plug-in that finds every node impossible counts as refusing each. */
function refusalsOf(ready: readonly Ready[], node: NodeInfo): Refused[] {
  return ready.flatMap(({ plugin, prepared }) => {
    const outside =
      prepared.onlyNodes && !prepared.onlyNodes.has(node.name)
        ? { reasons: [`node(s) didn't satisfy plugin(s) [${plugin.name}]`], unresolvable: true }
        : undefined;
    const refusal = prepared.impossible ?? prepared.filter?.(node) ?? outside;
    return refusal ? [{ plugin: plugin.name, refusal }] : [];
  });
}

function reportScores(ready: readonly Ready[], nodes: readonly NodeInfo[]): NodeReport[] {
  const reports: NodeReport[] = nodes.map(({ name }) => ({ name, fits: true, refusals: [], scores: [], total: 0 }));
  for (const { plugin, scores } of scoreNodes(ready, nodes)) {
    const { name, weight = 1 } = plugin;
    for (const [at, score] of scores.entries()) {
      const report = reports[at] as NodeReport;
      report.scores.push({ plugin: name, score, weight });
      report.total += score * weight;
    }
  }
  return reports.toSorted((a, b) => b.total - a.total);
}
