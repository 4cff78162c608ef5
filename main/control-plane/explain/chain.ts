/** Follows causes backwards: from one write to the change that made somebody write it, and so on to the first. */
import type { Entry, HistoryRecorder, ObjectHistory } from "./recorder.ts";

export interface Step {
  history: ObjectHistory;
  entry: Entry;
}

/** Chains go round where two controllers answer each other. */
const LONGEST = 16;
/** Who acts because of what the cluster's state is, not of its own accord. */
const REACTING = /^system:(node:|kube-|simulated-nodes|apiserver)|^system:serviceaccount:kube-system:/;

/** The write that caused this one, as far as it is remembered. */
export function causeOf(recorder: HistoryRecorder, { history, entry }: Step): Step | undefined {
  if (!REACTING.test(entry.user)) return undefined;
  const { cause } = entry;
  const seen = cause && recorder.byUid(cause.uid);
  if (seen) {
    const found = latest(seen, cause.resourceVersion === "" ? entry.id : undefined, Number(cause.resourceVersion));
    if (found && found.id < entry.id) return { history: seen, entry: found };
  }
  // What was not said is taken from the object itself: the write before by somebody else.
  const before = history.entries.filter(({ id, user }) => id < entry.id && user !== entry.user).at(-1);
  if (before && (!cause || cause.uid === history.uid)) return { history, entry: before };
  const owner = recorder.byUid(history.owner?.uid ?? "");
  const last = owner?.entries.filter(({ id }) => id < entry.id).at(-1);
  return owner && last ? { history: owner, entry: last } : undefined;
}

function latest({ entries }: ObjectHistory, before: number | undefined, revision: number): Entry | undefined {
  return entries.filter(({ id, revision: at }) => (before === undefined ? at <= revision : id < before)).at(-1);
}

/** The first cause in front, the write itself at the end. */
export function chainOf(recorder: HistoryRecorder, last: Step): Step[] {
  const chain = [last];
  const seen = new Set([last.entry.id]);
  for (let step = causeOf(recorder, last); step && chain.length < LONGEST; step = causeOf(recorder, step)) {
    if (seen.has(step.entry.id)) break;
    seen.add(step.entry.id);
    chain.unshift(step);
  }
  return chain;
}

/** "ReplicaSet default/web-5d" */
export function objectWords({ resource, namespace, name }: ObjectHistory): string {
  return `${resource.kind} ${namespace ? `${namespace}/` : ""}${name}`;
}

/** "deployment-controller", "kubernetes-admin with kubectl" */
export function actorWords({ actor, user, manager }: Entry): string {
  if (actor) return actor;
  if (user.startsWith("system:kube-scheduler")) return "scheduler";
  if (user.startsWith("system:node:")) return `kubelet of ${user.slice("system:node:".length)}`;
  return manager && manager !== user ? `${user} with ${manager}` : user;
}

/** "created", "bound to worker-1", "changed status: …" */
export function deedWords({ operation, subresource, changes, count }: Entry): string {
  const times = count > 1 ? ` (${count} times)` : "";
  const bound = subresource === "binding" && changes.find((line) => line.startsWith("spec.nodeName"));
  if (bound) return `bound to ${bound.slice(bound.indexOf("→") + 2)}`;
  if (operation !== "changed") return operation + times;
  return `changed ${changes.join("; ")}${times}`;
}
