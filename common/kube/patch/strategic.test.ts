import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { applyStrategicMergePatch } from "./strategic.ts";

const deployment = { group: "apps", version: "v1", kind: "Deployment" };
const pod = { group: "", version: "v1", kind: "Pod" };

function patched(target: string, patch: string, gvk = pod): unknown {
  return applyStrategicMergePatch(parse(target) as object, parse(patch), gvk);
}

describe("lists by key", () => {
  const target = "{spec: {containers: [{name: a, image: a:1}, {name: b, image: b:1}]}}";
  test.each([
    [
      "{spec: {containers: [{name: b, image: b:2}]}}",
      "{spec: {containers: [{name: a, image: a:1}, {name: b, image: b:2}]}}",
    ],
    ["{spec: {containers: [{name: a, $patch: delete}]}}", "{spec: {containers: [{name: b, image: b:1}]}}"],
    [
      "{spec: {containers: [{$patch: replace}, {name: c, image: c:1}]}}",
      "{spec: {containers: [{name: c, image: c:1}]}}",
    ],
    [
      "{spec: {$setElementOrder/containers: [{name: b}, {name: a}], containers: [{name: a, tty: true}]}}",
      "{spec: {containers: [{name: b, image: b:1}, {name: a, image: a:1, tty: true}]}}",
    ],
  ])("%s", (patch, expected) => {
    expect(patched(target, patch)).toEqual(parse(expected));
  });

  test.each([
    ["the patch's own order holds without another: what is new goes first", "[{name: c}]", "", ["c", "a", "b"]],
    [
      "an item of the server's keeps its place before one that it preceded",
      "[{name: b}, {name: c}]",
      "",
      ["a", "b", "c"],
    ],
    ["the given order holds for what it names", "[{name: c}]", "[{name: b}, {name: c}]", ["a", "b", "c"]],
    [
      "what the order does not name stays behind what it did not precede",
      "[{name: c}]",
      "[{name: c}, {name: b}]",
      ["c", "a", "b"],
    ],
  ])("%s", (_, items, order, expected) => {
    const patch = `{spec: {containers: ${items}${order && `, $setElementOrder/containers: ${order}`}}}`;
    const result = patched(target, patch) as { spec: { containers: { name: string }[] } };
    expect(result.spec.containers.map(({ name }) => name)).toEqual(expected);
  });

  test.each([
    ["{spec: {ports: [{port: 80, nodePort: 1}]}}", ["x", "z", "y"]],
    ["{spec: {ports: [{port: 81, nodePort: 1}]}}", ["x", "z", "y"]],
    ["{spec: {ports: [{port: 90, name: w}]}}", ["w", "x", "z", "y"]],
  ])("a key that stands twice counts where it stands first: %s", (patch, expected) => {
    const ports = "{spec: {ports: [{name: x, port: 80}, {name: y, port: 81}, {name: z, port: 80, protocol: UDP}]}}";
    const service = { group: "", version: "v1", kind: "Service" };
    const result = patched(ports, patch, service) as { spec: { ports: { name: string }[] } };
    expect(result.spec.ports.map(({ name }) => name)).toEqual(expected);
  });

  test.each([
    ["{containers: [{name: c}], $setElementOrder/containers: [{name: b}]}", /^The order in patch list/],
    ["{containers: [{name: b}, {name: a}], $setElementOrder/containers: [{name: a}, {name: b}]}", /doesn't match/],
    ["{$setElementOrder/containers: [{nm: b}]}", /does not contain the merge key name/],
    ["{$setElementOrder/containers: [b]}", /does not contain the merge key name/],
    ["{containers: [{name: a, $patch: merge}]}", /^merging lists cannot yet be specified/],
    ["{containers: [{$patch: merge}, {name: a}]}", /^merging lists cannot yet be specified/],
    ["{containers: [{name: c, $patch: explode}]}", /^Unknown patch type found: explode/],
  ])("%s is refused", (spec, words) => {
    expect(() => patched(target, `{spec: ${spec}}`)).toThrow(words);
  });

  test("an order leaves out what is deleted", () => {
    const spec =
      "{containers: [{name: a, $patch: delete}, {name: c}], $setElementOrder/containers: [{name: c}, {name: b}]}";
    const result = patched(target, `{spec: ${spec}}`) as { spec: { containers: { name: string }[] } };
    expect(result.spec.containers.map(({ name }) => name)).toEqual(["c", "b"]);
  });

  test("an item without its key is refused", () => {
    expect(() => patched(target, "{spec: {containers: [{image: x}]}}")).toThrow(/name/);
  });
});

test.each([
  [
    "lists without a key are replaced",
    "{spec: {containers: [{name: a, args: [x, y]}]}}",
    "{spec: {containers: [{name: a, args: [z]}]}}",
    "{spec: {containers: [{name: a, args: [z]}]}}",
  ],
  [
    "lists of values merge",
    "{metadata: {finalizers: [a/a]}}",
    "{metadata: {finalizers: [b/b, a/a]}}",
    "{metadata: {finalizers: [b/b, a/a]}}",
  ],
  [
    "values are deleted from lists",
    "{metadata: {finalizers: [a/a, b/b]}}",
    "{metadata: {$deleteFromPrimitiveList/finalizers: [a/a]}}",
    "{metadata: {finalizers: [b/b]}}",
  ],
  [
    "null deletes",
    "{metadata: {labels: {a: '1', b: '2'}}}",
    "{metadata: {labels: {a: null}}}",
    "{metadata: {labels: {b: '2'}}}",
  ],
  [
    "a map may be replaced",
    "{metadata: {labels: {a: '1'}}}",
    "{metadata: {labels: {$patch: replace, b: '2'}}}",
    "{metadata: {labels: {b: '2'}}}",
  ],
  [
    "what is not retained goes",
    "{spec: {volumes: [{name: v, emptyDir: {}}]}}",
    "{spec: {volumes: [{name: v, $retainKeys: [name, hostPath], hostPath: {path: /x}}]}}",
    "{spec: {volumes: [{name: v, hostPath: {path: /x}}]}}",
  ],
])("%s", (_, target, patch, expected) => {
  expect(patched(target, patch)).toEqual(parse(expected));
});

test("a strategy keeps its keys", () => {
  const target = "{spec: {strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}}";
  const patch = "{spec: {strategy: {$retainKeys: [type], type: Recreate}}}";
  expect(patched(target, patch, deployment)).toEqual({ spec: { strategy: { type: "Recreate" } } });
});

test("what it cannot be", () => {
  expect(() => applyStrategicMergePatch({}, {}, { group: "example.com", version: "v1", kind: "Widget" })).toThrow(
    expect.objectContaining({ code: 415 }) as Error,
  );
  expect(() => patched("{}", "{metadata: {$patch: explode}}")).toThrow("Unknown patch type found: explode");
  expect(() => patched("{}", "{metadata: {$patch: {toString: 1}}}")).toThrow("Unknown patch type found: {");
  expect(() => patched("{}", "[]")).toThrow(expect.objectContaining({ code: 400 }) as Error);
});
