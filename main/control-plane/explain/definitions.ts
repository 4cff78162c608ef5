/**
 * The group explain.drydock.dev: why Pods are where they are (podschedulings) and who changed what because of
 * what (histories of namespaced objects, clusterhistories of the others). Read-only; made when asked for.
 */
import type { History, PodScheduling } from "../../../common/kube/explain.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { notFound } from "../api/registry/context.ts";
import { selectionOf } from "../api/registry/selection.ts";
import { define, shows, showsAge, table } from "../resources/define.ts";
import type { ResourceDefinition } from "../resources/definition.ts";

export const GROUP = "explain.drydock.dev";
export const VERSION = "v1alpha1";

/** Where the objects come from. */
export interface ComputedSource {
  get(namespace: string | undefined, name: string): KubeObject | undefined;
  list(namespace: string | undefined): KubeObject[];
}

export interface ExplainSources {
  podSchedulings: ComputedSource;
  histories: ComputedSource;
  clusterHistories: ComputedSource;
}

const common = { group: GROUP, version: VERSION, verbs: ["get", "list"] as ("get" | "list")[], hasGeneration: false };

const historyTable = table<History>(
  shows("Object", "What it is the history of", ({ object }) => object.kind),
  shows("Changes", "How many are remembered", ({ entries }) => entries.length, { type: "integer" }),
  shows("Last Change", "What happened last", ({ entries }) => short(entries.at(-1)?.what ?? "", 60)),
  shows("By", "Who did that", ({ entries }) => entries.at(-1)?.by.actor ?? ""),
  shows("Because", "What made them do it", ({ entries }) => short(entries.at(-1)?.because ?? "", 60), { wide: true }),
  shows("When", "How long ago", (one, now) =>
    showsAge.cell({ ...one, metadata: { creationTimestamp: one.entries.at(-1)?.lastTime ?? "" } }, now),
  ),
);

type Given = Parameters<typeof define>[0] & { source: keyof ExplainSources };

const definitions: Given[] = [
  {
    ...common,
    kind: "PodScheduling",
    resource: "podschedulings",
    shortNames: ["psched"],
    source: "podSchedulings",
    table: table<PodScheduling>(
      shows("State", "Scheduled, Pending, Gated or Finished", ({ status }) => status.state),
      shows("Node", "Where it runs", ({ status }) => status.nodeName ?? "<none>"),
      shows("Fits", "Nodes that fit, of those considered", ({ status }) => `${status.fitting}/${status.considered}`),
      shows("Why", "In one sentence", ({ status }) => short(status.summary, 90)),
      shows("Would Help", "The smallest change that was found to work", ({ status }) =>
        short(status.remedies[0]?.text ?? "", 60),
      ),
      showsAge,
    ),
  },
  {
    ...common,
    kind: "History",
    listKind: "HistoryList",
    resource: "histories",
    source: "histories",
    table: historyTable,
  },
  {
    ...common,
    kind: "ClusterHistory",
    listKind: "ClusterHistoryList",
    resource: "clusterhistories",
    namespaced: false,
    source: "clusterHistories",
    table: historyTable,
  },
];

export function explainResources(sources: ExplainSources): ResourceDefinition[] {
  const computed = (definition: ResourceDefinition, source: ComputedSource): ResourceDefinition => ({
    ...definition,
    computed: {
      get: async (namespace, name) => {
        const object = source.get(namespace, name);
        if (!object) throw notFound(definition, name);
        return object;
      },
      list: async (namespace, query) => {
        const { matches } = selectionOf(definition, query);
        return source.list(namespace).filter((object) => matches(object));
      },
    },
  });
  return definitions.map(({ source, ...definition }) => computed(define(definition), sources[source]));
}

function short(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
