/** Histories as API objects: named after what they are of, "deployment.web", each entry with who, what and why. */
import { timestamp } from "../../../common/kube/clock.ts";
import type { History, HistoryEntry, HistoryStep } from "../../../common/kube/explain.ts";
import { actorWords, causeOf, chainOf, deedWords, objectWords } from "./chain.ts";
import type { Step } from "./chain.ts";
import { GROUP, VERSION } from "./definitions.ts";
import type { ComputedSource } from "./definitions.ts";
import type { HistoryRecorder, ObjectHistory } from "./recorder.ts";

export function historySource(recorder: HistoryRecorder, namespaced: boolean): ComputedSource {
  const mine = (namespace: string | undefined): ObjectHistory[] =>
    [...recorder.all()].filter(
      (one) => one.resource.namespaced === namespaced && (namespace === undefined || one.namespace === namespace),
    );
  return {
    // Of several lives of one name the last counts.
    get: (namespace, name) => {
      const found = mine(namespace).findLast((one) => nameOf(one) === name || fullNameOf(one) === name);
      return found && historyObject(recorder, found);
    },
    list: (namespace) =>
      [...new Map(mine(namespace).map((one) => [`${one.namespace}/${fullNameOf(one)}`, one])).values()]
        .map((one) => historyObject(recorder, one))
        .toSorted(
          (a, b) => compare(a.metadata.namespace, b.metadata.namespace) || compare(a.metadata.name, b.metadata.name),
        ),
  };
}

const compare = (a = "", b = ""): number => (a < b ? -1 : a > b ? 1 : 0);

function nameOf({ resource, name }: ObjectHistory): string {
  return `${resource.kind.toLowerCase()}.${name}`;
}

/** For kinds that several groups have. */
function fullNameOf({ resource, name }: ObjectHistory): string {
  return `${resource.resource}${resource.group ? `.${resource.group}` : ""}.${name}`;
}

function historyObject(recorder: HistoryRecorder, history: ObjectHistory): History {
  const { namespace, entries, resource, forgotten, uid } = history;
  const last = entries.at(-1);
  return {
    apiVersion: `${GROUP}/${VERSION}`,
    kind: resource.namespaced ? "History" : "ClusterHistory",
    metadata: {
      name: nameOf(history),
      ...(namespace ? { namespace } : {}),
      uid,
      creationTimestamp: timestamp(entries[0]?.at ?? 0),
    },
    object: reference(history),
    exists: last?.operation !== "deleted",
    forgotten,
    entries: entries.map((entry): HistoryEntry => {
      const { operation, subresource, user, manager, changes } = entry;
      const cause = causeOf(recorder, { history, entry });
      return {
        time: timestamp(entry.at),
        count: entry.count,
        lastTime: timestamp(entry.last),
        what: deedWords(entry),
        operation,
        ...(subresource === undefined ? {} : { subresource }),
        by: { actor: actorWords(entry), user, manager },
        ...(changes.length > 0 ? { changes } : {}),
        resourceVersion: String(entry.revision),
        ...(cause ? { because: causeWords(cause, history) } : {}),
      };
    }),
    chain: last ? chainOf(recorder, { history, entry: last }).map(stepOf) : [],
  };
}

function causeWords({ history, entry }: Step, of: ObjectHistory): string {
  const [deed, actor] = [deedWords(entry), actorWords(entry)];
  if (history !== of) return `${objectWords(history)} ${deed} by ${actor}`;
  return deed.startsWith("changed ") ? `${actor} ${deed}` : `it was ${deed} by ${actor}`;
}

function stepOf({ history, entry }: Step): HistoryStep {
  return { time: timestamp(entry.at), object: reference(history), by: actorWords(entry), what: deedWords(entry) };
}

function reference({ apiVersion, resource, namespace, name, uid }: ObjectHistory): HistoryStep["object"] {
  return { apiVersion, kind: resource.kind, ...(namespace ? { namespace } : {}), name, uid };
}
