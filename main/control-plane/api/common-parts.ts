/**
 * Parts that many objects have in common, kept once: the Pods of a ReplicaSet differ in little more than their
 * names, and a large cluster has very many of them.
 *
 *     pod-1  spec ─ containers ─ [web] ─┬─ env, ports, resources, readinessProbe ◄─┐  the same for all
 *     pod-2  spec ─ containers ─ [web] ─┴──────────────────────────────────────────┘
 */
import type { KubeObject } from "../../../common/kube/object.ts";

/** Kinds of which there are many that are alike. */
const ALIKE = new Set(["Pod", "Node"]);
/** Parts that are known; the oldest give way. */
const MOST = 8192;
/** What is longer is hardly ever there twice. */
const LONGEST = 2048;

const known = new Map<string, object>();

/** Puts what is known already in the place of what is equal to it. For objects that are shared and never changed. */
export function shareParts(object: KubeObject): void {
  if (!ALIKE.has(object.kind)) return;
  for (const [name, value] of Object.entries(object)) {
    if (name !== "metadata" && isObject(value)) shareWithin(value);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

function shareWithin(parent: Record<string, unknown>): void {
  for (const name of Object.keys(parent)) {
    const value = parent[name];
    if (isObject(value)) parent[name] = shared(value);
  }
}

function shared(value: Record<string, unknown>): object {
  const text = JSON.stringify(value);
  if (text.length > LONGEST) {
    shareWithin(value);
    return value;
  }
  const there = known.get(text);
  if (there) return there;
  // Not the whole, but perhaps what it is made of.
  shareWithin(value);
  known.set(text, value);
  if (known.size > MOST) {
    for (const oldest of known.keys()) {
      known.delete(oldest);
      break;
    }
  }
  return value;
}
