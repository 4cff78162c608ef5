/** Every kind's defaults, validation, and columns on objects that are nearly right: they find fault, and never fail themselves. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { shapeObject } from "../../../common/kube/codec/json.ts";
import { factsFor } from "../../../common/kube/facts/index.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { apiVersionOf } from "../../../common/kube/object.ts";
import { StatusError } from "../../../common/kube/status.ts";
import { builtinResources } from "../../../main/control-plane/resources/index.ts";
import { judgeCreate, judgeUpdate } from "../../../main/control-plane/resources/testing/judge.ts";
import type { ResourceDefinition } from "../../../main/control-plane/resources/definition.ts";
import { Dice } from "./dice.ts";
import { mutate } from "./mutate.ts";
import { seedOf } from "./seeds.ts";
import type { Json } from "./values.ts";

const RUNS = Number(process.env["DRYDOCK_FUZZ_OBJECTS"] ?? 300);
const SEED = Number(process.env["DRYDOCK_FUZZ_SEED"] ?? 20_260_101);

const kinds = builtinResources().filter((definition) => !definition.virtual && !definition.computed);

function made(dice: Dice, definition: ResourceDefinition, changes = 1 + dice.below(4)): KubeObject | undefined {
  const { group, version, kind, namespaced } = definition;
  const object = {
    apiVersion: apiVersionOf({ group, version }),
    kind,
    metadata: { name: "a", ...(namespaced ? { namespace: "default" } : {}), labels: { app: "web" } },
    ...seedOf(group, kind),
  } as { [key: string]: Json };
  for (let count = changes; count > 0; count -= 1) mutate(dice, object, factsFor(definition));
  try {
    return shapeObject({ value: object, duplicates: [] }, definition).object;
  } catch (error) {
    // Refused by its shape: validation does not come to see it.
    if (error instanceof StatusError) return undefined;
    throw error;
  }
}

/** What readers are shown of it. */
function show({ table, selectableFields = {}, strategy }: ResourceDefinition, object: KubeObject): void {
  table?.cells(object, new Date(0));
  for (const field of Object.values(selectableFields)) field(object);
  strategy.warnings?.(object);
}

it.each(
  kinds.map((definition) => [`${definition.group}/${definition.version} ${definition.kind}`, definition] as const),
)("%s", (_name, definition) => {
  const property = fc.property(fc.noShrink(fc.integer({ min: 0, max: 2 ** 31 - 1 })), (seed) => {
    const dice = new Dice(seed);
    const object = made(dice, definition);
    if (!object) return;
    const { object: created, problems } = judgeCreate(structuredClone(object));
    if (problems.length === 0) show(definition, created);
    const other = made(dice, definition);
    const old = problems.length === 0 ? object : made(dice, definition, 0);
    if (!other || !old) return;
    judgeUpdate(old, (stored) => {
      for (const field of Object.keys(stored)) if (field !== "metadata") delete stored[field];
      Object.assign(stored, other, { metadata: { ...stored.metadata, ...other.metadata } });
    });
  });
  fc.assert(property, { numRuns: RUNS, seed: SEED });
  expect(kinds.length).toBeGreaterThan(40);
});
