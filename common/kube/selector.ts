/**
 * Label and field selectors: parsing and matching. Grammar: apimachinery's labels.Parse and
 * fields.ParseSelector. Errors are StatusErrors (BadRequest), as the API server answers them.
 */
import { labelKeyProblems, labelValueProblems } from "./names.ts";
import { StatusError } from "./status.ts";

export type Labels = Readonly<Record<string, string>> | undefined;

export interface Requirement {
  key: string;
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  values: string[];
}

export interface Selector {
  readonly requirements: readonly Requirement[];
  /** No requirement: matches everything. */
  readonly empty: boolean;
  matches(labels: Labels): boolean;
}

function matchesOne({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      if (value === undefined || !/^-?\d+$/.test(value)) return false;
      const difference = BigInt(value) - BigInt(values[0] ?? "0");
      return operator === "Gt" ? difference > 0n : difference < 0n;
    }
  }
}

export function selectorOf(requirements: readonly Requirement[]): Selector {
  return {
    requirements,
    empty: requirements.length === 0,
    matches: (labels) => requirements.every((requirement) => matchesOne(requirement, labels)),
  };
}

/** Matches nothing: what an absent LabelSelector means. */
export const selectNothing: Selector = { requirements: [], empty: false, matches: () => false };
export const selectEverything: Selector = selectorOf([]);

function bad(text: string, why: string): StatusError {
  return new StatusError("BadRequest", `unable to parse requirement: ${why} (selector ${JSON.stringify(text)})`);
}

/** Parses "app=web,tier in (a, b),!old,gen>2". An empty text selects everything. */
export function parseLabelSelector(text: string): Selector {
  const requirements: Requirement[] = [];
  const tokens = text.match(/!=|==|[=!(),<>]|[^\s=!(),<>]+/g) ?? [];
  let at = 0;
  const next = (): string | undefined => tokens[at++];
  while (at < tokens.length) {
    const first = next() as string;
    if (first === "!") {
      requirements.push({ key: keyOf(text, next()), operator: "DoesNotExist", values: [] });
    } else {
      const key = keyOf(text, first);
      const operator = tokens[at];
      if (operator === undefined || operator === ",") {
        requirements.push({ key, operator: "Exists", values: [] });
      } else if (operator === "=" || operator === "==" || operator === "!=" || operator === ">" || operator === "<") {
        at += 1;
        const value = tokens[at] === undefined || tokens[at] === "," ? "" : (next() as string);
        const named = { "=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt" } as const;
        const numeric = operator === ">" || operator === "<";
        if (numeric && !/^-?\d+$/.test(value))
          throw bad(text, `for 'Gt', 'Lt' operators, the value must be an integer`);
        requirements.push({ key, operator: named[operator], values: [numeric ? value : valueOf(text, value)] });
      } else if (operator === "in" || operator === "notin") {
        at += 1;
        if (next() !== "(") throw bad(text, `found '${tokens[at - 1] ?? ""}', expected: '('`);
        const values: string[] = [];
        let expectValue = true;
        for (;;) {
          const token = next();
          if (token === undefined) throw bad(text, "found '', expected: ',', or ')'");
          if (token === ")") break;
          if (token === ",") {
            if (expectValue) values.push("");
            expectValue = true;
          } else {
            values.push(valueOf(text, token));
            expectValue = false;
          }
        }
        if (expectValue) values.push("");
        requirements.push({ key, operator: operator === "in" ? "In" : "NotIn", values });
      } else {
        throw bad(text, `found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
      }
    }
    const separator = next();
    if (separator !== undefined && separator !== ",")
      throw bad(text, `found '${separator}', expected: ',' or 'end of string'`);
    if (separator === "," && at >= tokens.length) throw bad(text, "found '', expected: identifier after ','");
  }
  return selectorOf(requirements);
}

function keyOf(text: string, key: string | undefined): string {
  if (key === undefined || /^[=!(),<>]/.test(key))
    throw bad(text, `found '${key ?? ""}', expected: !, identifier, or 'end of string'`);
  const problem = labelKeyProblems(key)[0];
  if (problem !== undefined) throw bad(text, `<nil>: Invalid value: ${JSON.stringify(key)}: ${problem}`);
  return key;
}

function valueOf(text: string, value: string): string {
  const problem = labelValueProblems(value)[0];
  if (problem !== undefined) throw bad(text, `<nil>: Invalid value: ${JSON.stringify(value)}: ${problem}`);
  return value;
}

/** The LabelSelector object of specs. */
export interface LabelSelectorObject {
  matchLabels?: Record<string, string> | undefined;
  matchExpressions?: { key: string; operator: string; values?: string[] | undefined }[] | undefined;
}

/** undefined selects nothing, an empty one everything (API conventions). Throws StatusError on an unknown operator. */
export function selectorFromObject(object: LabelSelectorObject | undefined | null): Selector {
  if (object === undefined || object === null) return selectNothing;
  const requirements: Requirement[] = Object.entries(object.matchLabels ?? {}).map(([key, value]) => ({
    key,
    operator: "In",
    values: [value],
  }));
  for (const { key, operator, values = [] } of object.matchExpressions ?? []) {
    if (operator !== "In" && operator !== "NotIn" && operator !== "Exists" && operator !== "DoesNotExist") {
      throw new StatusError("BadRequest", `"${operator}" is not a valid label selector operator`);
    }
    requirements.push({ key, operator, values });
  }
  return selectorOf(requirements);
}

/** A plain map (Service and ReplicationController selectors). An empty one selects nothing here. */
export function selectorFromMap(map: Labels): Selector {
  const entries = Object.entries(map ?? {});
  return entries.length === 0
    ? selectNothing
    : selectorOf(entries.map(([key, value]) => ({ key, operator: "In", values: [value] })));
}

export interface FieldRequirement {
  field: string;
  equal: boolean;
  value: string;
}

/** Parses "metadata.name=x,status.phase!=Running"; backslash escapes ',', '=' and itself. */
export function parseFieldSelector(text: string): FieldRequirement[] {
  const terms = text.match(/(?:\\.|[^,\\])+/gs) ?? [];
  return terms
    .filter((term) => term !== "")
    .map((term) => {
      const match = /^([^=!\\]+?)(!=|==|=)(.*)$/s.exec(term);
      if (!match) throw new StatusError("BadRequest", `invalid selector: '${text}'; can't understand '${term}'`);
      return {
        field: match[1] as string,
        equal: match[2] !== "!=",
        value: (match[3] as string).replaceAll(/\\([\\,=])/g, "$1"),
      };
    });
}
