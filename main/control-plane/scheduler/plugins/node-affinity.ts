/** nodeSelector and node affinity: which nodes a Pod needs, and which it likes. */
import type { Pod } from "../../../../common/kube/types.ts";
import { labelsAfter, refuseForGood, scaleScores } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import { termMatcher } from "../node-terms.ts";
import type { NodeMatch, NodeSelectorTerm } from "../node-terms.ts";

interface RawNodeAffinity {
  requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: NodeSelectorTerm[] };
  preferredDuringSchedulingIgnoredDuringExecution?: { weight: number; preference: NodeSelectorTerm }[];
}

const affinityOf = (pod: Pod): RawNodeAffinity | undefined =>
  (pod.spec?.affinity as { nodeAffinity?: RawNodeAffinity } | undefined)?.nodeAffinity;

/** Whether a node has what nodeSelector and required node affinity ask for; undefined when they ask for nothing. */
export function requiredMatcher(pod: Pod): NodeMatch | undefined {
  const labels = Object.entries(pod.spec?.nodeSelector ?? {});
  const required = affinityOf(pod)?.requiredDuringSchedulingIgnoredDuringExecution;
  if (labels.length === 0 && !required) return undefined;
  const terms = required?.nodeSelectorTerms.map(termMatcher);
  return (node) =>
    labels.every(([key, value]) => node.labels[key] === value) && (!terms || terms.some((matches) => matches(node)));
}

/** Nodes a Pod is bound to by name (DaemonSets): every term must name one. */
function namedNodes(pod: Pod): ReadonlySet<string> | undefined {
  const terms = affinityOf(pod)?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (!terms || terms.length === 0) return undefined;
  const names = terms.map(
    ({ matchFields = [] }) =>
      matchFields.find(({ key, operator }) => key === "metadata.name" && operator === "In")?.values,
  );
  return names.every((one) => one !== undefined) ? new Set(names.flat()) : undefined;
}

export interface NodeAffinityArgs {
  /** What every Pod of the profile needs besides its own. */
  addedAffinity?: RawNodeAffinity;
}

const preferences = (affinity: RawNodeAffinity | undefined) =>
  (affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, preference }) => ({
    weight,
    matches: termMatcher(preference),
  }));

export function nodeAffinityWith({ addedAffinity }: NodeAffinityArgs): Plugin {
  const addedTerms = addedAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms.map(termMatcher);
  const addedPreferences = preferences(addedAffinity);
  return {
    name: "NodeAffinity",
    ofNodeAlone: true,
    weight: 2,
    prepare({ pod }) {
      const required = requiredMatcher(pod);
      const preferred = [...preferences(affinityOf(pod)), ...addedPreferences];
      if (!required && !addedTerms && preferred.length === 0) return undefined;
      const onlyNodes = namedNodes(pod);
      return {
        ...(onlyNodes ? { onlyNodes } : {}),
        ...(required || addedTerms
          ? {
              filter: (node) => {
                if (addedTerms && !addedTerms.some((matches) => matches(node)))
                  return refuseForGood("node(s) didn't match scheduler-enforced node affinity");
                return !required || required(node)
                  ? undefined
                  : refuseForGood("node(s) didn't match Pod's node affinity/selector");
              },
            }
          : {}),
        ...(preferred.length > 0
          ? {
              score: (node) => preferred.reduce((sum, { weight, matches }) => sum + (matches(node) ? weight : 0), 0),
              normalize: (scores) => scaleScores(scores),
            }
          : {}),
      };
    },
    mayHelp: (event, { pod }) => {
      const changed = labelsAfter(event);
      if (!changed || !("node" in event)) return false;
      const name = event.node.metadata.name ?? "";
      const required = requiredMatcher(pod);
      const fits = (labels: Record<string, string>): boolean =>
        (!required || required({ name, labels })) &&
        (!addedTerms || addedTerms.some((matches) => matches({ name, labels })));
      return fits(changed.labels) && !(changed.old && fits(changed.old));
    },
  };
}

export const nodeAffinity = nodeAffinityWith({});
