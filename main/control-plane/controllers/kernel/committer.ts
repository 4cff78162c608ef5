/**
 * The one way controllers change an object: the difference between what was read and what is wanted, as a
 * merge patch of either the object or its status, on condition that nobody changed it since.
 */
import type { Client } from "../../../../common/kube/client.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Kind } from "./kinds.ts";

/** The merge patch (RFC 7386) that makes `next` of `old`, or undefined when they are equal. */
export function difference(old: unknown, next: unknown): unknown {
  if (old === next) return undefined;
  if (!isMap(old) || !isMap(next)) return equal(old, next) ? undefined : next;
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(old), ...Object.keys(next)])) {
    const wanted = next[key];
    if (wanted === undefined || wanted === null) {
      if (old[key] !== undefined && old[key] !== null) patch[key] = null;
    } else if (isEmpty(wanted) && (old[key] === undefined || old[key] === null)) {
      // The API leaves empty lists and maps out: writing one would be seen as a difference for ever.
      continue;
    } else {
      const change = difference(old[key], wanted);
      if (change !== undefined) patch[key] = change;
    }
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

/** Deep equality of JSON values; absent and undefined are the same. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, at) => equal(item, b[at]));
  if (!isMap(a) || !isMap(b)) return false;
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) if (!equal(a[key], b[key])) return false;
  return true;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : isMap(value) && Object.keys(value).length === 0;
}

export interface CommitOptions {
  /** A subresource other than "status" to write a change of the spec or status through ("approval", "finalize"). */
  subresource?: string;
  signal?: AbortSignal;
}

/**
 * Writes what changed from `old` to `next`. Returns the object as it is then stored (`old` when nothing had
 * to change). Throws when both spec (or metadata) and status differ: that is two decisions. StatusErrors of the server pass
 * through: Conflict means that the caller's copy was stale.
 */
export async function commit<T extends KubeObject>(
  client: Client,
  kind: Kind,
  old: T,
  next: T,
  options: CommitOptions = {},
): Promise<T> {
  const patch = difference(old, next) as Record<string, unknown> | undefined;
  if (patch === undefined) return old;
  const ofStatus = "status" in patch;
  if (ofStatus && Object.keys(patch).length > 1) {
    throw new Error(
      `a write of ${kind.resource} ${old.metadata.name} changes both status and ${Object.keys(patch)
        .filter((key) => key !== "status")
        .join(", ")}`,
    );
  }
  const metadata = {
    ...(patch.metadata as object | undefined),
    resourceVersion: old.metadata.resourceVersion,
    uid: old.metadata.uid,
  };
  const subresource = options.subresource ?? (ofStatus ? "status" : undefined);
  return client.patch<T>(
    {
      group: kind.group,
      version: kind.version,
      resource: kind.resource,
      ...(old.metadata.namespace === undefined ? {} : { namespace: old.metadata.namespace }),
      name: old.metadata.name ?? "",
      ...(subresource === undefined ? {} : { subresource }),
    },
    "application/merge-patch+json",
    { ...patch, metadata },
    options.signal ? { signal: options.signal } : {},
  );
}
