/** Paths of plain fields through a schema: the fieldPath of a rule, the jsonPath of a selectable field. */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";

export interface FieldPath {
  /** "spec.map[key]", as errors name it. */
  text: string;
  first: string | undefined;
  /** Of what the path leads to. */
  schema: StructuralSchema;
}

export class FieldPathError extends Error {}

const TOKEN = /'(?:\\.|[^'\\])*'|[.[\]]|[^.[\]]+/g;
const ESCAPES: Record<string, string> = { a: "\u0007", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

function unquoted(token: string): string {
  return token.slice(1, -1).replaceAll(/\\(.)/g, (match, one: string) => {
    const known = one === "'" || one === "\\" ? one : ESCAPES[one];
    if (known === undefined) throw new FieldPathError(`invalid string literal: invalid escape char ${match}`);
    return known;
  });
}

/** `.spec.map['key']`, where `quotes` says whether the form in brackets is allowed. Throws FieldPathError. */
export function fieldPathOf(path: string, root: StructuralSchema, quotes: boolean): FieldPath {
  const found: FieldPath = { text: "", first: undefined, schema: root };
  const step = (name: string): void => {
    const { properties, additionalProperties } = found.schema;
    if (!properties && additionalProperties === undefined) throw new FieldPathError("does not refer to a valid field");
    const next = properties ? properties[name] : additionalProperties;
    if (typeof next !== "object" || (properties && !Object.hasOwn(properties, name)))
      throw new FieldPathError("does not refer to a valid field");
    found.text += properties ? (found.text === "" ? name : `.${name}`) : `[${name}]`;
    found.first ??= name;
    found.schema = next;
  };
  const tokens = path.match(TOKEN) ?? [];
  let at = 0;
  const next = (): string => {
    const token = tokens[at++];
    if (token === undefined) throw new FieldPathError("unexpected end of JSON path");
    return token;
  };
  while (at < tokens.length) {
    const token = next();
    if (token === ".") step(next());
    else if (token !== "[") throw new FieldPathError(`expected [ or . but got: ${token}`);
    else {
      if (!quotes) throw new FieldPathError("array notation is not allowed");
      const name = next();
      if (name.length < 2 || !name.startsWith("'") || !name.endsWith("'"))
        throw new FieldPathError(`expected single quoted string but got ${name}`);
      step(unquoted(name));
      const close = next();
      if (close !== "]") throw new FieldPathError(`expected ] but got ${close}`);
    }
  }
  return found;
}
