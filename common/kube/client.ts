/**
 * The narrow waist between whoever uses the Kubernetes API (controllers, scheduler, agent, engine,
 * window) and whoever serves it. In-process and HTTP implementations behave alike, so a controller
 * cannot tell where it runs. Errors are `StatusError`s.
 */
import type { GroupVersionResource, KubeList, KubeObject, WatchEvent } from "./object.ts";

export type PatchType =
  | "application/json-patch+json"
  | "application/merge-patch+json"
  | "application/strategic-merge-patch+json"
  | "application/apply-patch+yaml";

export interface ObjectRef extends GroupVersionResource {
  /** Absent for cluster-scoped resources. */
  namespace?: string;
  name: string;
  /** e.g. "status", "scale", "eviction", "binding" */
  subresource?: string;
}

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: "Exact" | "NotOlderThan";
  signal?: AbortSignal;
}

export interface WatchOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  resourceVersion?: string;
  allowWatchBookmarks?: boolean;
  sendInitialEvents?: boolean;
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

export interface WriteOptions {
  fieldManager?: string;
  dryRun?: boolean;
  force?: boolean;
  signal?: AbortSignal;
}

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: "Orphan" | "Background" | "Foreground";
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
  signal?: AbortSignal;
}

export interface Client {
  get<T extends KubeObject = KubeObject>(ref: ObjectRef, options?: { signal?: AbortSignal }): Promise<T>;
  list<T extends KubeObject = KubeObject>(gvr: GroupVersionResource, options?: ListOptions): Promise<KubeList<T>>;
  /**
   * Events in the server's order until the server ends the watch (the iterator returns), the signal
   * aborts (it returns) or it fails (it throws; an ERROR event is thrown as StatusError, e.g. Expired).
   */
  watch<T extends KubeObject = KubeObject>(
    gvr: GroupVersionResource,
    options?: WatchOptions,
  ): AsyncIterable<WatchEvent<T>>;
  /** `ref.name` may be "" when the object has a generateName. A subresource (binding, eviction, token) is POSTed. */
  create<T extends KubeObject = KubeObject>(ref: ObjectRef, object: KubeObject, options?: WriteOptions): Promise<T>;
  /** Sends the object's own resourceVersion: a stale one fails with Conflict. */
  update<T extends KubeObject = KubeObject>(ref: ObjectRef, object: KubeObject, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject = KubeObject>(
    ref: ObjectRef,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions,
  ): Promise<T>;
  /** Returns the object when it still exists (finalizers, grace), else undefined. */
  delete(ref: ObjectRef, options?: DeleteOptions): Promise<KubeObject | undefined>;
}
