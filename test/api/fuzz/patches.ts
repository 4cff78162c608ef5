/** Patches of the four types for an object: good ones, and ones that are nearly so. */
import type { TypeFact } from "../../../common/kube/facts/index.ts";
import type { Dice } from "./dice.ts";
import { mutate } from "./mutate.ts";
import { anything, oddString, record } from "./values.ts";
import type { Json } from "./values.ts";

type Struct = { [key: string]: Json };

export const patchTypes = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
] as const;

const escaped = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** A pointer to something in the value, or beside it. */
function pointer(dice: Dice, value: Json): string {
  let text = "";
  let at: Json | undefined = value;
  while (typeof at === "object" && at !== null && dice.chance(0.8)) {
    const keys: string[] = Array.isArray(at) ? [...at.keys(), "-", at.length, "01", "-1"].map(String) : Object.keys(at);
    if (keys.length === 0) break;
    const key = dice.pick(keys);
    text += `/${escaped(key)}`;
    at = (at as Struct)[key];
  }
  if (dice.chance(0.2)) text += `/${dice.chance(0.5) ? escaped(oddString(dice)) : "new"}`;
  if (dice.chance(0.03))
    text = dice.pick(["", "/", "no/slash", "/~2", "/metadata/", "//", "/__proto__/x", "/constructor/prototype/x"]);
  return text;
}

function jsonPatch(dice: Dice, object: Struct, mark: string): Json {
  const list: Json[] = Array.from({ length: 1 + dice.below(4) }, () => {
    const op = dice.pick(["add", "add", "replace", "remove", "test", "move", "copy", "odd"]);
    return record([
      ["op", op === "odd" ? anything(dice) : op],
      ...(dice.chance(0.98) ? ([["path", pointer(dice, object)]] as [string, Json][]) : []),
      ...(op === "move" || op === "copy" ? ([["from", pointer(dice, object)]] as [string, Json][]) : []),
      ...(dice.chance(0.9) && op !== "remove" ? ([["value", anything(dice, 2)]] as [string, Json][]) : []),
    ]);
  });
  if (dice.chance(0.02))
    list.push(...Array.from({ length: 10_050 }, () => ({ op: "test", path: "/kind", value: "x" })));
  if (dice.chance(0.02))
    list.push(
      ...Array.from({ length: 40 }, () => ({ op: "copy", from: "/metadata", path: "/metadata/annotations/x" })),
    );
  // Each copies all that there is: twice as much every time.
  if (dice.chance(0.02))
    list.push(...Array.from({ length: 60 }, (_, at) => ({ op: "copy", from: "/metadata", path: `/metadata/x${at}` })));
  list.push({ op: "add", path: "/metadata/annotations/fuzz", value: mark });
  return dice.chance(0.02) ? anything(dice) : list;
}

const directives = [
  (): [string, Json] => ["$patch", "delete"],
  (): [string, Json] => ["$patch", "replace"],
  (): [string, Json] => ["$patch", "merge"],
  (dice: Dice): [string, Json] => ["$patch", anything(dice, 3)],
  (dice: Dice): [string, Json] => ["$retainKeys", dice.chance(0.7) ? ["type", "name"] : anything(dice)],
  (dice: Dice): [string, Json] => [
    `$deleteFromPrimitiveList/${dice.pick(["finalizers", "args", "x"])}`,
    anything(dice),
  ],
  (dice: Dice): [string, Json] => [
    `$setElementOrder/${dice.pick(["containers", "ports", "finalizers", "env"])}`,
    dice.chance(0.7) ? [{ name: "c" }] : anything(dice),
  ],
  (dice: Dice): [string, Json] => ["$unknown/x", anything(dice)],
];

/** Puts a directive into some struct of the value. */
function direct(dice: Dice, value: Struct): void {
  let at = value;
  while (dice.chance(0.75)) {
    const inner = Object.values(at)
      .flatMap((part) => (Array.isArray(part) ? part : [part]))
      .filter((part): part is Struct => typeof part === "object" && part !== null && !Array.isArray(part));
    if (inner.length === 0) break;
    at = dice.pick(inner);
  }
  const [key, directive] = dice.pick(directives)(dice);
  at[key] = directive;
}

/** A part of the object, as a client that changes little would send. */
function part(dice: Dice, object: Struct): Struct {
  const keys = Object.keys(object).filter((key) => key !== "metadata" && key !== "apiVersion" && key !== "kind");
  return record(keys.filter(() => dice.chance(0.6)).map((key) => [key, object[key] as Json]));
}

export function patchOf(dice: Dice, type: string, object: Struct, fact: TypeFact | undefined, mark: string): unknown {
  if (type === "application/json-patch+json") return jsonPatch(dice, object, mark);
  const changed = structuredClone(object);
  for (let count = dice.below(3); count > 0; count -= 1) mutate(dice, changed, fact);
  const patch = part(dice, changed);
  patch["metadata"] = { annotations: { fuzz: mark } };
  if (dice.chance(0.1))
    Object.assign(patch["metadata"], {
      [dice.pick([
        "finalizers",
        "ownerReferences",
        "labels",
        "uid",
        "resourceVersion",
        "name",
        "deletionTimestamp",
        "managedFields",
      ])]: anything(dice, 2),
    });
  if (type === "application/apply-patch+yaml") {
    patch["apiVersion"] = dice.chance(0.97) ? (object["apiVersion"] ?? "v1") : anything(dice, 3);
    patch["kind"] = dice.chance(0.97) ? (object["kind"] ?? "") : anything(dice, 3);
    return dice.chance(0.02) ? anything(dice) : patch;
  }
  if (type === "application/strategic-merge-patch+json" && dice.chance(0.5)) direct(dice, patch);
  return dice.chance(0.02) ? anything(dice) : patch;
}
