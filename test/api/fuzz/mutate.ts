/** Changes a good object a little, where its schema says something is, so that it is nearly right. */
import { typeFact } from "../../../common/kube/facts/index.ts";
import type { FieldFact, TypeFact } from "../../../common/kube/facts/index.ts";
import type { Dice } from "./dice.ts";
import { anything, oddString, valueOf } from "./values.ts";
import type { Json } from "./values.ts";

type Struct = { [key: string]: Json };

const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function set(target: Struct, key: string, value: Json): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
}

/** In place. Does nothing where there is nothing to change. */
export function mutate(dice: Dice, object: Struct, fact: TypeFact | undefined): void {
  let at: Struct = object;
  let facts = fact;
  for (let depth = 0; depth < 12; depth += 1) {
    const inside = Object.keys(at).filter((key) => typeof at[key] === "object" && at[key] !== null);
    if (inside.length === 0 || dice.chance(0.25)) break;
    const key = dice.pick(inside);
    const field = facts?.fields.get(key);
    const value = at[key] as Json;
    facts = field ? typeFact(field.type) : undefined;
    if (Array.isArray(value)) {
      const members = value.filter(isStruct);
      if (members.length === 0 || dice.chance(0.2)) return changeList(dice, value, field);
      at = dice.pick(members);
    } else if (field?.map) return changeMap(dice, value as Struct, field);
    else at = value as Struct;
  }
  changeStruct(dice, at, facts);
}

function changeList(dice: Dice, list: Json[], field: FieldFact | undefined): void {
  switch (dice.below(6)) {
    case 0:
      list.pop();
      return;
    case 1:
      if (list.length > 0) list.push(structuredClone(dice.pick(list)));
      return;
    case 2:
      list.push(anything(dice, 2));
      return;
    case 3:
      list.reverse();
      return;
    case 4:
      if (list.length > 0) for (let count = dice.below(300); count > 0; count -= 1) list.push(list[0] as Json);
      return;
    default:
      if (field) list.push(valueOf(dice, { ...field, list: false }, 1));
  }
}

function changeMap(dice: Dice, map: Struct, field: FieldFact): void {
  const keys = Object.keys(map);
  switch (dice.below(3)) {
    case 0:
      if (keys.length > 0) delete map[dice.pick(keys)];
      return;
    case 1:
      set(map, oddString(dice), keys.length > 0 ? (map[dice.pick(keys)] as Json) : "x");
      return;
    default:
      set(
        map,
        dice.pick(["a", ...keys]),
        dice.chance(0.8) ? valueOf(dice, { ...field, map: false }, 1) : anything(dice),
      );
  }
}

function changeStruct(dice: Dice, struct: Struct, fact: TypeFact | undefined): void {
  const keys = Object.keys(struct);
  switch (
    dice.weighted([
      [3, "remove"],
      [4, "other"],
      [8, "known"],
      [1, "odd"],
      [2, "null"],
      [1, "more"],
    ] as const)
  ) {
    case "remove":
      if (keys.length > 0) delete struct[dice.pick(keys)];
      return;
    case "other":
      if (keys.length > 0) set(struct, dice.pick(keys), anything(dice));
      return;
    case "null":
      if (keys.length > 0) set(struct, dice.pick(keys), null);
      return;
    case "odd":
      set(struct, oddString(dice), anything(dice));
      return;
    case "more":
      for (let count = dice.below(40); count > 0; count -= 1) set(struct, `x${count}`, count);
      return;
    default: {
      const names = fact ? [...fact.fields.keys()] : ["spec", "status", "name", "size", "parts", "map", "rule"];
      const name = dice.pick(names);
      const field = fact?.fields.get(name);
      set(struct, name, field ? valueOf(dice, field) : anything(dice));
    }
  }
}
