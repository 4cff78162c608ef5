/**
 * Parts that many objects have in common, kept once: the Pods of a ReplicaSet differ in little more than their
 * names, and a large cluster has very many of them.
 *
 *     pod-1  spec ─ containers ─ [web] ─┬─ env, ports, resources, readinessProbe ◄─┐  the same for all
 *     pod-2  spec ─ containers ─ [web] ─┴──────────────────────────────────────────┘
 */
import type { KubeObject } from "../../../common/kube/object.ts";
import { BoundedMap } from "./bounded-map.ts";

/** Kinds of which there are many that are alike. */
const ALIKE = new Set(["Pod", "Node"]);
/** Lists whose items differ from object to object, but not all that is in them. */
const OF_ITS_OWN = new Set(["containers", "initContainers", "volumes", "containerStatuses", "conditions"]);
/** Hardly ever the same twice: they name what was made for the one Pod. */
const UNIQUE = new Set(["volumeMounts"]);
/** Parts and texts that are known; the oldest give way. */
const MOST = 8192;
/** Shorter texts the parser keeps once itself. */
const SHORT = 10;

const parts = new BoundedMap<string, object>(MOST);
const texts = new BoundedMap<string, string>(MOST);

/**
 * Puts what is known already in the place of what is equal to it. For objects that are shared and never changed.
 * False where the object is of a kind of which there are not so many.
 */
export function shareParts(object: KubeObject): boolean {
  if (!ALIKE.has(object.kind)) return false;
  for (const section of [object["spec"], object["status"]]) if (isStruct(section)) shareWithin(section);
  return true;
}

const isStruct = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

function shareWithin(parent: Record<string, unknown>): void {
  for (const name of Object.keys(parent)) {
    const value = parent[name];
    if (typeof value === "string") {
      if (value.length > SHORT) parent[name] = known(texts, value, value);
    } else if (!isStruct(value) || UNIQUE.has(name)) continue;
    else if (!OF_ITS_OWN.has(name)) parent[name] = known(parts, JSON.stringify(value), value);
    else if (Array.isArray(value)) for (const item of value) if (isStruct(item)) shareWithin(item);
  }
}

function known<T>(kept: BoundedMap<string, T>, name: string, value: T): T {
  const there = kept.get(name);
  if (there !== undefined) return there;
  kept.set(name, value);
  return value;
}
