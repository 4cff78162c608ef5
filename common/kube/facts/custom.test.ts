import { expect, test } from "vitest";
import { parse } from "yaml";
import type { FieldProblem } from "../codec/shape.ts";
import { pruneUnknown } from "./custom.ts";
import type { StructuralSchema } from "./custom.ts";

/** What is left of `value` under the schema, and what was taken away. */
function pruned(schema: string, value: string): { left: unknown; gone: string[] } {
  const left: unknown = parse(value);
  const problems: FieldProblem[] = [];
  pruneUnknown(left, parse(schema) as StructuralSchema, problems);
  return { left, gone: problems.map(({ path }) => path) };
}

test.each([
  ["unknown fields", "{properties: {a: {type: object, properties: {b: {}}}}}", "{a: {b: 1, c: 2}, d: 3}", ["a.c", "d"]],
  [
    "kept where the schema says so, but not below what it knows",
    "{x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: object}}}",
    "{a: {b: 1}, d: {e: 3}}",
    ["a.b"],
  ],
  [
    "kept in the items of a list that keeps them",
    "{properties: {l: {type: array, x-kubernetes-preserve-unknown-fields: true, items: {type: object, properties: {a: {type: object}}}}}}",
    "{l: [{a: {b: 1}, c: {d: 2}}]}",
    ["l[0].a.b"],
  ],
  [
    "any name but nothing below it, where any is allowed without a schema",
    "{additionalProperties: true}",
    "{a: 1, b: {c: 2}, d: [{e: 3}]}",
    ["b.c", "d[0].e"],
  ],
  ["in maps", "{additionalProperties: {type: object, properties: {a: {}}}}", "{m: {a: 1, b: 2}}", ["m.b"]],
  [
    "of the metadata of an object within the object",
    "{properties: {o: {x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}}}",
    "{o: {apiVersion: v1, kind: A, metadata: {name: n, labels: {a: b}, nope: 1}, spec: {x: 1}}}",
    ["o.metadata.nope", "o.spec.x"],
  ],
])("%s", (_what, schema, value, gone) => {
  expect(pruned(schema, value).gone).toEqual(gone);
});

test("what is known stays as it is", () => {
  const schema = "{additionalProperties: true, properties: {a: {type: object, properties: {b: {type: integer}}}}}";
  expect(pruned(schema, "{a: {b: 1}, c: text, d: [1, 2], e: {f: 1}}").left).toEqual({
    a: { b: 1 },
    c: "text",
    d: [1, 2],
    e: {},
  });
});
