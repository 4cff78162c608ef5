/** Where a Pod may and would rather run: tolerations, affinity, spreading. */
import { dnsSubdomainProblems, labelKeyProblems, labelValueProblems } from "../../../../../common/kube/names.ts";
import type { PodSpec } from "../../../../../common/kube/types.ts";
import type { LabelSelectorObject } from "../../../../../common/kube/selector.ts";
import type { Problems } from "../problems.ts";
import { validateLabelSelector } from "../selectors.ts";

type Affinity = NonNullable<PodSpec["affinity"]>;
type Toleration = NonNullable<PodSpec["tolerations"]>[number];
type Spread = NonNullable<PodSpec["topologySpreadConstraints"]>[number];
type NodeTerm = {
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
  matchFields?: { key: string; operator: string; values?: string[] }[];
};
type PodTerm = {
  labelSelector?: LabelSelectorObject;
  namespaceSelector?: LabelSelectorObject;
  topologyKey?: string;
  namespaces?: string[];
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
};

const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

export function validateTolerations(list: Toleration[], field: string, problems: Problems): void {
  list.forEach((toleration, index) => {
    const path = `${field}[${index}]`;
    const { key = "", operator = "Equal", value = "", effect = "", tolerationSeconds } = toleration;
    if (key !== "") problems.invalidAll(`${path}.key`, key, labelKeyProblems(key));
    else if (operator !== "Exists") {
      problems.invalid(
        `${path}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    }
    if (tolerationSeconds !== undefined && effect !== "NoExecute") {
      problems.invalid(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (operator === "Equal") problems.invalidAll(`${path}.operator`, value, labelValueProblems(value));
    else if (operator === "Exists") {
      if (value !== "") {
        problems.invalid(`${path}.operator`, toleration, "value must be empty when `operator` is 'Exists'");
      }
    } else problems.notSupported(`${path}.operator`, operator, ["Equal", "Exists"]);
    if (effect !== "") problems.oneOf(`${path}.effect`, effect, effects);
  });
}

export function validateAffinity(affinity: Affinity | undefined, field: string, problems: Problems): void {
  const required = "requiredDuringSchedulingIgnoredDuringExecution";
  const preferred = "preferredDuringSchedulingIgnoredDuringExecution";
  const forNodes = affinity?.nodeAffinity;
  const hard = forNodes?.[required];
  if (hard !== undefined) {
    const path = `${field}.nodeAffinity.${required}.nodeSelectorTerms`;
    const terms = (hard.nodeSelectorTerms ?? []) as NodeTerm[];
    if (terms.length === 0) problems.required(path, "must have at least one node selector term");
    terms.forEach((term, index) => nodeTerm(term, `${path}[${index}]`, problems, true));
  }
  (forNodes?.[preferred] ?? []).forEach(({ weight: weighs, preference }, index) => {
    const path = `${field}.nodeAffinity.${preferred}[${index}]`;
    weight(weighs, path, problems);
    nodeTerm((preference ?? {}) as NodeTerm, `${path}.preference`, problems);
  });
  for (const part of ["podAffinity", "podAntiAffinity"] as const) {
    const forPods = affinity?.[part];
    (forPods?.[required] ?? []).forEach((term, index) =>
      podTerm(term as PodTerm, `${field}.${part}.${required}[${index}]`, problems),
    );
    (forPods?.[preferred] ?? []).forEach(({ weight: weighs, podAffinityTerm }, index) => {
      const path = `${field}.${part}.${preferred}[${index}]`;
      weight(weighs, path, problems);
      podTerm((podAffinityTerm ?? {}) as PodTerm, `${path}.podAffinityTerm`, problems);
    });
  }
}

function weight(value: number, path: string, problems: Problems): void {
  if (value < 1 || value > 100) problems.invalid(`${path}.weight`, value, "must be in the range 1-100");
}

/** `strict`: values must be labels; of what is only preferred they may be anything. */
function nodeTerm(term: NodeTerm, path: string, problems: Problems, strict = false): void {
  (term.matchExpressions ?? []).forEach(({ key, operator, values = [] }, index) => {
    const field = `${path}.matchExpressions[${index}]`;
    if (operator === "In" || operator === "NotIn") {
      if (values.length === 0) {
        problems.required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
      }
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values.length > 0) {
        problems.forbidden(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      }
    } else if (operator === "Gt" || operator === "Lt") {
      if (values.length !== 1) {
        problems.required(`${field}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'");
      }
    } else problems.invalid(`${field}.operator`, operator, "not a valid selector operator");
    problems.invalidAll(`${field}.key`, key, labelKeyProblems(key));
    if (!strict) return;
    values.forEach((value, at) => problems.invalidAll(`${field}.values[${at}]`, value, labelValueProblems(value)));
  });
  (term.matchFields ?? []).forEach(({ key, operator, values = [] }, index) => {
    const field = `${path}.matchFields[${index}]`;
    if (operator !== "In" && operator !== "NotIn") {
      problems.invalid(`${field}.operator`, operator, "not a valid selector operator");
    } else if (values.length !== 1) {
      problems.required(
        `${field}.values`,
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
      );
    }
    if (key !== "metadata.name") problems.invalid(`${field}.key`, key, "not a valid field selector key");
  });
}

function podTerm(term: PodTerm, path: string, problems: Problems): void {
  problems.add(validateLabelSelector(term.labelSelector, `${path}.labelSelector`));
  problems.add(validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`));
  for (const part of ["matchLabelKeys", "mismatchLabelKeys"] as const) {
    if (term[part]?.length && !term.labelSelector)
      problems.forbidden(`${path}.${part}`, "must not be specified when labelSelector is not set");
    (term[part] ?? []).forEach((key, at) => {
      problems.invalidAll(`${path}.${part}[${at}]`, key, labelKeyProblems(key));
      if (part === "matchLabelKeys" && term.mismatchLabelKeys?.includes(key))
        problems.invalid(`${path}.${part}[${at}]`, key, "exists in both matchLabelKeys and mismatchLabelKeys");
    });
  }
  for (const namespace of term.namespaces ?? []) {
    problems.invalidAll(`${path}.namespace`, namespace, dnsSubdomainProblems(namespace));
  }
  if (!term.topologyKey) problems.required(`${path}.topologyKey`, "can not be empty");
  else problems.invalidAll(`${path}.topologyKey`, term.topologyKey, labelKeyProblems(term.topologyKey));
}

export function validateTopologySpread(list: Spread[], field: string, problems: Problems): void {
  const seen = new Set<string>();
  list.forEach((spread, index) => {
    const path = `${field}[${index}]`;
    if (spread.maxSkew <= 0) problems.invalid(`${path}.maxSkew`, spread.maxSkew, "must be greater than zero");
    if (!spread.topologyKey) problems.required(`${path}.topologyKey`, "can not be empty");
    else problems.invalidAll(`${path}.topologyKey`, spread.topologyKey, labelKeyProblems(spread.topologyKey));
    problems.oneOf(`${path}.whenUnsatisfiable`, spread.whenUnsatisfiable, ["DoNotSchedule", "ScheduleAnyway"]);
    const pair = `{${spread.topologyKey}, ${spread.whenUnsatisfiable}}`;
    if (seen.has(pair)) problems.duplicate(`${path}.{topologyKey, whenUnsatisfiable}`, pair);
    seen.add(pair);
    if (spread.minDomains !== undefined) {
      if (spread.minDomains <= 0)
        problems.invalid(`${path}.minDomains`, spread.minDomains, "must be greater than zero");
      if (spread.whenUnsatisfiable !== "DoNotSchedule") {
        problems.invalid(
          `${path}.minDomains`,
          spread.minDomains,
          `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${spread.whenUnsatisfiable}`,
        );
      }
    }
    for (const policy of ["nodeAffinityPolicy", "nodeTaintsPolicy"] as const)
      if (spread[policy] !== undefined) problems.oneOf(`${path}.${policy}`, spread[policy], ["Honor", "Ignore"]);
    spreadKeys(spread, `${path}.matchLabelKeys`, problems);
    problems.add(
      validateLabelSelector(spread.labelSelector as LabelSelectorObject | undefined, `${path}.labelSelector`),
    );
  });
}

function spreadKeys({ matchLabelKeys = [], labelSelector }: Spread, field: string, problems: Problems): void {
  if (matchLabelKeys.length === 0) return;
  if (!labelSelector) {
    problems.forbidden(field, "must not be specified when labelSelector is not set");
    return;
  }
  const { matchLabels = {}, matchExpressions = [] } = labelSelector as LabelSelectorObject;
  /** But for the one requirement that the Pod's creation wrote for the key. */
  const isSelected = (key: string): boolean => {
    const of = matchExpressions.filter((one) => one.key === key);
    const isWritten = of.length === 1 && of[0]?.operator === "In" && of[0].values?.length === 1;
    return Object.hasOwn(matchLabels, key) || (of.length > 0 && !isWritten);
  };
  matchLabelKeys.forEach((key, at) => {
    problems.invalidAll(`${field}[${at}]`, key, labelKeyProblems(key));
    if (isSelected(key)) problems.invalid(`${field}[${at}]`, key, "exists in both matchLabelKeys and labelSelector");
  });
}
