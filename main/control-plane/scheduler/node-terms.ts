/** Terms that choose nodes by their labels and fields: of Pods, of volumes. */
import { selectorOf } from "../../../common/kube/selector.ts";
import type { Requirement, Selector } from "../../../common/kube/selector.ts";

interface RawRequirement {
  key: string;
  operator: string;
  values?: string[];
}

export interface NodeSelectorTerm {
  matchExpressions?: RawRequirement[];
  matchFields?: RawRequirement[];
}

interface Labelled {
  name: string;
  labels: Record<string, string>;
}

export type NodeMatch = (node: Labelled) => boolean;

function expressions(raw: RawRequirement[] | undefined): Selector {
  return selectorOf(
    (raw ?? []).map(({ key, operator, values = [] }) => ({
      key,
      operator: operator as Requirement["operator"],
      values,
    })),
  );
}

/** A term without any requirement matches no node. */
export function termMatcher(term: NodeSelectorTerm): NodeMatch {
  const byLabel = expressions(term.matchExpressions);
  const byField = expressions(term.matchFields);
  if (byLabel.empty && byField.empty) return () => false;
  return ({ name, labels }) => byLabel.matches(labels) && byField.matches({ "metadata.name": name });
}
