import { expect, test } from "vitest";
import { factsFor } from "../../../common/kube/facts/index.ts";
import { builtinResources } from "./index.ts";

const all = builtinResources();
const id = (one: { group: string; version: string; resource: string }): string =>
  `${one.group}/${one.version}/${one.resource}`;

test("every definition is of a kind with schema facts, and no two are the same", () => {
  expect(all.filter((one) => !factsFor(one)).map(id)).toEqual([]);
  expect(new Set(all.map(id)).size).toBe(all.length);
  // The second views of what is stored as another kind have its names.
  const names = all.flatMap((one) => (one.storedAs ? [] : (one.shortNames ?? [])));
  expect(new Set(names).size).toBe(names.length);
});

test.each(all.filter((one) => one.table).map((one) => [id(one), one] as const))(
  "%s has a cell for every column, even of an empty object",
  (_, one) => {
    const object = {
      apiVersion: one.group === "" ? one.version : `${one.group}/${one.version}`,
      kind: one.kind,
      metadata: { name: "x", namespace: "default" },
      spec: { scaleTargetRef: {}, containers: [] },
    };
    const cells = one.table?.cells(object, new Date()) ?? [];
    expect(cells.length).toBe((one.table?.columns.length ?? 0) + (one.table?.placesName ? 0 : 1));
    expect(cells.filter((cell) => cell === undefined)).toEqual([]);
  },
);
