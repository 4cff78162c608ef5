/** The JSON paths of printer columns, selectable fields and scale: `.spec.a`, `.items[*].x`, `[?(@.type=="Ready")]`. */

type Step =
  | { kind: "field"; name: string }
  | { kind: "index"; at: number }
  | { kind: "all" }
  | { kind: "filter"; path: string; operator: string; value: string };

export class JsonPathError extends Error {}

const cache = new Map<string, Step[]>();

function parse(path: string): Step[] {
  const known = cache.get(path);
  if (known) return known;
  const steps: Step[] = [];
  let rest = path.replace(/^\$/, "");
  while (rest !== "") {
    const field = /^\.?((?:[^.[\]\\]|\\.)+)/.exec(rest);
    const filter = /^\[\?\(@\.?([^=!<>]+?)\s*(==|!=|<=|>=|<|>)\s*("[^"]*"|'[^']*'|[^)]+?)\s*\)\]/.exec(rest);
    const quoted = /^\[(?:"([^"]*)"|'([^']*)')\]/.exec(rest);
    const index = /^\[(-?\d+)\]/.exec(rest);
    const all = /^(?:\[\*\]|\.\*)/.exec(rest);
    const found = all ?? filter ?? quoted ?? index ?? field;
    if (!found) throw new JsonPathError(`unrecognized character in action: ${rest}`);
    if (found === all) steps.push({ kind: "all" });
    else if (found === filter)
      steps.push({
        kind: "filter",
        path: `.${found[1] ?? ""}`,
        operator: found[2] ?? "",
        value: (found[3] ?? "").replace(/^["']|["']$/g, ""),
      });
    else if (found === quoted) steps.push({ kind: "field", name: found[1] ?? found[2] ?? "" });
    else if (found === index) steps.push({ kind: "index", at: Number(found[1]) });
    else steps.push({ kind: "field", name: (found[1] ?? "").replaceAll(/\\(.)/g, "$1") });
    rest = rest.slice(found[0].length);
  }
  if (cache.size > 1000) cache.clear();
  cache.set(path, steps);
  return steps;
}

/** Everything the path leads to; nothing where it leads nowhere. Throws JsonPathError on a path that is none. */
export function findPath(value: unknown, path: string): unknown[] {
  let found: unknown[] = [value];
  for (const step of parse(path)) found = found.flatMap((one) => follow(one, step));
  return found.filter((one) => one !== undefined);
}

function follow(value: unknown, step: Step): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  switch (step.kind) {
    case "field":
      return Object.hasOwn(value, step.name) ? [(value as Record<string, unknown>)[step.name]] : [];
    case "index":
      return Array.isArray(value) ? [value.at(step.at)] : [];
    case "all":
      return Object.values(value);
    case "filter":
      return Object.values(value).filter((item) => {
        const [own] = findPath(item, step.path);
        return own !== undefined && compares(String(own as string | number | boolean), step.operator, step.value);
      });
  }
}

function compares(own: string, operator: string, value: string): boolean {
  const [a, b] = [Number(own), Number(value)];
  switch (operator) {
    case "==":
      return own === value;
    case "!=":
      return own !== value;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    default:
      return a >= b;
  }
}

/** Sets the value at a path of plain fields, making the objects on the way. */
export function setPath(target: Record<string, unknown>, path: string, value: unknown): void {
  const names = parse(path).map((step) => (step.kind === "field" ? step.name : ""));
  let at = target;
  for (const name of names.slice(0, -1)) {
    const next = at[name];
    at = (at[name] = typeof next === "object" && next !== null ? next : {}) as Record<string, unknown>;
  }
  at[names.at(-1) ?? ""] = value;
}
