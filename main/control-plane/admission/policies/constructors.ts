/**
 * The object constructors of mutating policies, `Object{…}`, `Object.spec.template{…}` and `JSONPatch{…}`, written as
 * maps: their types say nothing that applying the result does not check.
 */

const constructor = /^(Object(\.[A-Za-z_][A-Za-z0-9_]*)*|JSONPatch)\s*\{/;
const field = /^\s*(\?\s*)?(`[^`]+`|[A-Za-z_][A-Za-z0-9_]*)\s*:/;
const literal = /^([rRbB]{0,2})("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*')/;
const identifier = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*/;

const unescaped: Record<string, string> = { __underscores__: "__", __dot__: ".", __dash__: "-", __slash__: "/" };

/** `x__dash__y` as it stands in the object: "x-y". */
function fieldName(written: string): string {
  if (written.startsWith("`")) return written.slice(1, -1);
  const reserved = /^__([a-z]+)__$/.exec(written)?.[1];
  if (reserved && unescaped[written] === undefined) return reserved;
  return written.replaceAll(/__(?:underscores|dot|dash|slash)__/g, (escape) => unescaped[escape] ?? escape);
}

/** The expression with maps in the place of constructors; as it is where it has none. */
export function withConstructors(expression: string): string {
  if (!expression.includes("Object") && !expression.includes("JSONPatch")) return expression;
  let out = "";
  let rest = expression;
  const open: ("struct" | "other")[] = [];
  const take = (length: number): void => {
    out += rest.slice(0, length);
    rest = rest.slice(length);
  };
  /** After "{" or "," of a constructor: the name of a field, in quotes. */
  const fieldHere = (): void => {
    const found = field.exec(rest);
    if (!found) return;
    out += `${found[1] ? "?" : ""}${JSON.stringify(fieldName(found[2] ?? ""))}:`;
    rest = rest.slice(found[0].length);
  };
  while (rest !== "") {
    const text = literal.exec(rest);
    const made = text ? null : constructor.exec(rest);
    const name = text || made ? null : identifier.exec(rest);
    const [first = ""] = rest;
    if (text) take(text[0].length);
    else if (made) {
      out += "{";
      rest = rest.slice(made[0].length);
      open.push("struct");
      fieldHere();
    } else if (name) take(name[0].length);
    else if ("{[(".includes(first)) {
      open.push("other");
      take(1);
    } else if ("}])".includes(first)) {
      open.pop();
      take(1);
    } else {
      take(1);
      if (first === "," && open.at(-1) === "struct") fieldHere();
    }
  }
  return out;
}
