/** All of the table, in the order of the document. */
import type { Section } from "../section.ts";
import { apply, applySets, patch, rollout } from "./changing.ts";
import { create, everyKind } from "./creating.ts";
import { certificates, nodes, remove, streams } from "./operating.ts";
import { asking, describe, get } from "./reading.ts";

export const sections: Section[] = [
  everyKind,
  create,
  get,
  describe,
  asking,
  apply,
  applySets,
  patch,
  rollout,
  remove,
  nodes,
  certificates,
  streams,
];
