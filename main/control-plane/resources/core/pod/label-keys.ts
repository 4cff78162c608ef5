/**
 * A Pod's `matchLabelKeys` and `mismatchLabelKeys` name its own labels: at creation their values are written into the
 * selectors beside them, so that all who read the Pod later (its labels may change) see the same as the scheduler did.
 */
import type { LabelSelectorObject } from "../../../../../common/kube/selector.ts";
import type { Pod } from "../../../../../common/kube/types.ts";

interface Keyed {
  labelSelector?: LabelSelectorObject;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
}

/** Changes the Pod. A term without a selector selects nothing, and stays so; keys the Pod has no label of are left out. */
export function mergeLabelKeys({ metadata, spec }: Pod): void {
  const labels = metadata.labels ?? {};
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  const terms = [podAffinity, podAntiAffinity].flatMap((side) => [
    ...(side?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
    ...(side?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
  ]);
  for (const term of [...terms, ...(spec?.topologySpreadConstraints ?? [])] as Keyed[]) {
    const { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = term;
    if (!labelSelector) continue;
    const written = (keys: string[], operator: "In" | "NotIn") =>
      keys.flatMap((key) => {
        const value = labels[key];
        return value === undefined ? [] : [{ key, operator, values: [value] }];
      });
    const more = [...written(matchLabelKeys, "In"), ...written(mismatchLabelKeys, "NotIn")];
    if (more.length > 0) labelSelector.matchExpressions = [...(labelSelector.matchExpressions ?? []), ...more];
  }
}
