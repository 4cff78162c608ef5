/** LabelSelectors in specs, and how they must fit the Pod template beside them. */
import { labelKeyProblems, labelValueProblems } from "../../../../common/kube/names.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { validateLabels } from "./metadata.ts";
import { Problems } from "./problems.ts";

export function validateLabelSelector(selector: LabelSelectorObject | undefined, field: string): StatusCause[] {
  const problems = new Problems();
  problems.add(validateLabels(selector?.matchLabels, `${field}.matchLabels`));
  (selector?.matchExpressions ?? []).forEach((expression, index) => {
    const path = `${field}.matchExpressions[${index}]`;
    const values = expression.values ?? [];
    if (expression.operator === "In" || expression.operator === "NotIn") {
      if (values.length === 0) {
        problems.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
      }
    } else if (expression.operator === "Exists" || expression.operator === "DoesNotExist") {
      if (values.length > 0) {
        problems.forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      }
    } else {
      problems.invalid(`${path}.operator`, expression.operator, "not a valid selector operator");
    }
    problems.invalidAll(`${path}.key`, expression.key, labelKeyProblems(expression.key ?? ""));
    values.forEach((value, at) => problems.invalidAll(`${path}.values[${at}]`, value, labelValueProblems(value)));
  });
  return problems.causes;
}

export const isEmptySelector = (selector: LabelSelectorObject): boolean =>
  Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;

/**
 * A workload's selector: there, not empty, and matching its own template's labels. `kind` is how the message
 * names the workload ("deployment").
 */
export function validateWorkloadSelector(
  selector: LabelSelectorObject | undefined,
  templateLabels: Record<string, string> | undefined,
  kind: string,
): StatusCause[] {
  const problems = new Problems();
  if (selector === undefined) {
    problems.required("spec.selector");
  } else {
    problems.add(validateLabelSelector(selector, "spec.selector"));
    if (isEmptySelector(selector)) {
      problems.invalid("spec.selector", selector, `empty selector is invalid for ${kind}`);
    }
  }
  if (problems.causes.length === 0 && !selectorFromObject(selector).matches(templateLabels)) {
    problems.invalid(
      "spec.template.metadata.labels",
      templateLabels ?? null,
      "`selector` does not match template `labels`",
    );
  }
  return problems.causes;
}
