/**
 * What a Job may say of its indexes, its failures and its success: limits and words of the API server of 1.36
 * (pkg/apis/batch/validation).
 */
import type { IJob } from "kubernetes-models/batch/v1/Job";
import { dnsSubdomainProblems, labelKeyProblems } from "../../../../common/kube/names.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { Problems } from "../validation/problems.ts";

type Spec = NonNullable<IJob["spec"]>;
type FailureRule = NonNullable<NonNullable<Spec["podFailurePolicy"]>["rules"]>[number];
type ExitCodes = NonNullable<FailureRule["onExitCodes"]>;
type SuccessRule = NonNullable<NonNullable<Spec["successPolicy"]>["rules"]>[number];

const MOST_PARALLEL = 100_000;
const MOST_FAILED_INDEXES = 100_000;
/** Above so many completions a limit for each index is only for Jobs with less of the rest. */
const MANY_COMPLETIONS = 100_000;
const MOST_WITH_MANY = 10_000;
const MOST_RULES = 20;
const MOST_CONDITIONS = 20;
const MOST_EXIT_CODES = 255;
const MOST_MANAGED_BY = 63;
const MOST_INDEX_TEXT = 64 * 1024;

/** `field` is where the Job's spec stands. */
export function validateJobPolicies(spec: Spec, field: string): StatusCause[] {
  const problems = new Problems();
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    problems.required(`${field}.backoffLimitPerIndex`, "when maxFailedIndexes is specified");
  managedBy(spec.managedBy, `${field}.managedBy`, problems);
  problems.oneOf(`${field}.completionMode`, spec.completionMode, ["NonIndexed", "Indexed"]);
  if (spec.completionMode === "Indexed") indexed(spec, field, problems);
  else
    for (const part of ["backoffLimitPerIndex", "maxFailedIndexes"] as const)
      if (spec[part] !== undefined)
        problems.invalid(`${field}.${part}`, spec[part], "requires indexed completion mode");
  failurePolicy(spec, `${field}.podFailurePolicy.rules`, problems);
  successPolicy(spec, `${field}.successPolicy`, problems);
  const replacement = spec.podReplacementPolicy as string | undefined;
  if (replacement !== undefined)
    problems.oneOf(
      `${field}.podReplacementPolicy`,
      replacement,
      spec.podFailurePolicy === undefined ? ["Failed", "TerminatingOrFailed"] : ["Failed"],
    );
  return problems.causes;
}

function managedBy(name: string | undefined, field: string, problems: Problems): void {
  if (name === undefined) return;
  const [host = "", ...path] = name.split("/");
  if (name === "") problems.required(field);
  else if (host === "" || path.join("/") === "")
    problems.invalid(field, name, 'must be a domain-prefixed path (such as "acme.io/foo")');
  else problems.invalidAll(field, host, dnsSubdomainProblems(host));
  if (name.length > MOST_MANAGED_BY) problems.tooLong(field, MOST_MANAGED_BY);
}

function indexed(spec: Spec, field: string, problems: Problems): void {
  const { completions, parallelism = 0, maxFailedIndexes, backoffLimitPerIndex } = spec;
  const atMost = (part: string, value: number, most: number, when = ""): void => {
    if (value > most) problems.invalid(`${field}.${part}`, value, `must be less than or equal to ${most}${when}`);
  };
  if (completions === undefined) problems.required(`${field}.completions`, "when completion mode is Indexed");
  atMost("parallelism", parallelism, MOST_PARALLEL, " when completion mode is Indexed");
  if (maxFailedIndexes !== undefined) {
    if (completions !== undefined && maxFailedIndexes > completions)
      problems.invalid(`${field}.maxFailedIndexes`, maxFailedIndexes, "must be less than or equal to completions");
    atMost("maxFailedIndexes", maxFailedIndexes, MOST_FAILED_INDEXES);
  }
  if (completions === undefined || completions <= MANY_COMPLETIONS || backoffLimitPerIndex === undefined) return;
  const when = ` when completions are above ${MANY_COMPLETIONS} and used with backoff limit per index`;
  if (maxFailedIndexes === undefined)
    problems.required(`${field}.maxFailedIndexes`, `must be specified when completions is above ${MANY_COMPLETIONS}`);
  atMost("parallelism", parallelism, MOST_WITH_MANY, when);
  atMost("maxFailedIndexes", maxFailedIndexes ?? 0, MOST_WITH_MANY, when);
}

function failurePolicy(spec: Spec, field: string, problems: Problems): void {
  const rules = spec.podFailurePolicy?.rules ?? [];
  if (rules.length > MOST_RULES) problems.tooMany(field, rules.length, MOST_RULES);
  const template = spec.template?.spec;
  const names = [...(template?.containers ?? []), ...(template?.initContainers ?? [])].map(({ name }) => name);
  for (const [at, { action, onExitCodes, onPodConditions = [] }] of rules.entries()) {
    const place = `${field}[${at}]`;
    problems.oneOf(`${place}.action`, action, ["Count", "FailIndex", "FailJob", "Ignore"]);
    if (action === "FailIndex" && spec.backoffLimitPerIndex === undefined)
      problems.invalid(`${place}.action`, action, "requires the backoffLimitPerIndex to be set");
    if (onExitCodes) exitCodes(onExitCodes, names, `${place}.onExitCodes`, problems);
    conditions(onPodConditions, `${place}.onPodConditions`, problems);
    if (onExitCodes && onPodConditions.length > 0)
      problems.invalid(place, "", "specifying both OnExitCodes and OnPodConditions is not supported");
    else if (!onExitCodes && onPodConditions.length === 0)
      problems.invalid(place, "", "specifying one of OnExitCodes and OnPodConditions is required");
  }
}

function exitCodes(
  { operator, values, containerName }: ExitCodes,
  names: readonly string[],
  field: string,
  problems: Problems,
): void {
  problems.oneOf(`${field}.operator`, operator, ["In", "NotIn"]);
  if (containerName !== undefined && !names.includes(containerName))
    problems.invalid(
      `${field}.containerName`,
      containerName,
      "must be one of the container or initContainer names in the pod template",
    );
  if (values.length === 0) problems.invalid(`${field}.values`, values, "at least one value is required");
  else if (values.length > MOST_EXIT_CODES) problems.tooMany(`${field}.values`, values.length, MOST_EXIT_CODES);
  for (const [at, value] of values.entries()) {
    if (operator === "In" && value === 0)
      problems.invalid(`${field}.values[${at}]`, value, "must not be 0 for the In operator");
    if (values.indexOf(value) < at) problems.duplicate(`${field}.values[${at}]`, value);
  }
  if (values.some((value, at) => value < (values[at - 1] ?? value)))
    problems.invalid(`${field}.values`, values, "must be ordered");
}

function conditions(patterns: readonly { type: string; status?: string }[], field: string, problems: Problems): void {
  if (patterns.length > MOST_CONDITIONS) problems.tooMany(field, patterns.length, MOST_CONDITIONS);
  for (const [at, { type, status }] of patterns.entries()) {
    problems.invalidAll(`${field}[${at}].type`, type, labelKeyProblems(type));
    problems.oneOf(`${field}[${at}].status`, status, ["False", "True", "Unknown"]);
  }
}

function successPolicy({ successPolicy: policy, completionMode, completions = 0 }: Spec, field: string, to: Problems) {
  if (policy === undefined) return;
  if (completionMode !== "Indexed") return to.invalid(field, policy, "requires indexed completion mode");
  const rules = policy.rules ?? [];
  if (rules.length === 0)
    to.required(`${field}.rules`, "at least one rules must be specified when the successPolicy is specified");
  if (rules.length > MOST_RULES) to.tooMany(`${field}.rules`, rules.length, MOST_RULES);
  for (const [at, rule] of rules.entries()) successRule(rule, completions, `${field}.rules[${at}]`, to);
}

function successRule(rule: SuccessRule, completions: number, field: string, problems: Problems): void {
  const { succeededCount: count, succeededIndexes: text } = rule;
  if (count === undefined && text === undefined)
    problems.required(field, "at least one of succeededCount or succeededIndexes must be specified");
  const place = `${field}.succeededIndexes`;
  if ((text?.length ?? 0) > MOST_INDEX_TEXT) problems.tooLong(place, MOST_INDEX_TEXT);
  const counted = countIndexes(text ?? "", completions);
  if (typeof counted === "string") problems.invalid(place, text, `error parsing succeededIndexes: ${counted}`);
  if (count === undefined) return;
  problems.nonNegative(`${field}.succeededCount`, count);
  const most = (limit: number, what: string): void => {
    const detail = `must be less than or equal to ${limit} (the number of ${what})`;
    if (count > limit) problems.invalid(`${field}.succeededCount`, count, detail);
  };
  most(completions, "specified completions");
  if (text !== undefined)
    most(typeof counted === "number" ? counted : 0, "indexes in the specified succeededIndexes field");
}

/** How many indexes a text like "0,2-4" names; what is wrong with it, where something is. */
export function countIndexes(text: string, completions: number): number | string {
  if (text === "") return 0;
  let last: number | undefined;
  let total = 0;
  for (const part of text.split(",")) {
    const ends = part.split("-");
    if (ends.length > 2)
      return `the fragment ${JSON.stringify(part)} violates the requirement that an index interval can have at most two parts separated by '-'`;
    const numbers: number[] = [];
    for (const end of ends) {
      if (!/^\d+$/.test(end)) return `cannot convert string to integer for index: ${JSON.stringify(end)}`;
      if (Number(end) >= completions) return `too large index: ${JSON.stringify(end)}`;
      numbers.push(Number(end));
    }
    const [from = 0, to] = numbers;
    if (to !== undefined && from >= to) return `non-increasing order, previous: ${from}, current: ${to}`;
    if (last !== undefined && last >= from) return `non-increasing order, previous: ${last}, current: ${from}`;
    last = to ?? from;
    total += last - from + 1;
  }
  return total;
}
