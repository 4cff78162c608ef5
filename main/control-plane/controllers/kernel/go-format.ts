/** Label selectors as Go prints them, where Kubernetes puts them into messages. */
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";

export function goSelector(selector: LabelSelectorObject | undefined): string {
  if (!selector) return "nil";
  const labels = Object.entries(selector.matchLabels ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${value},`)
    .join("");
  const expressions = (selector.matchExpressions ?? [])
    .map(({ key, operator, values }) => `{${key} ${operator} [${(values ?? []).join(" ")}]},`)
    .join("");
  return `&LabelSelector{MatchLabels:map[string]string{${labels}},MatchExpressions:[]LabelSelectorRequirement{${expressions}},}`;
}
