/** Where a resource lives under an API server's root, and what a list or watch asks for in its query. */
import type { ListOptions, ObjectRef, WatchOptions } from "./client.ts";
import type { GroupVersionResource } from "./object.ts";

/** "/api/v1/namespaces/default/pods", "/apis/apps/v1/deployments": a collection. */
export function collectionPath(gvr: GroupVersionResource, namespace?: string): string {
  const root = gvr.group === "" ? `/api/${gvr.version}` : `/apis/${gvr.group}/${gvr.version}`;
  return namespace ? `${root}/namespaces/${encodeURIComponent(namespace)}/${gvr.resource}` : `${root}/${gvr.resource}`;
}

/** One object, or one of its subresources. */
export function objectPath(ref: ObjectRef): string {
  const path = `${collectionPath(ref, ref.namespace)}/${encodeURIComponent(ref.name)}`;
  return ref.subresource ? `${path}/${ref.subresource}` : path;
}

/** The query of a list or watch: only what was given, in the server's names. */
export function listQuery(options: ListOptions & WatchOptions): Record<string, string> {
  const query: Record<string, string> = {};
  const { labelSelector, fieldSelector, limit, resourceVersion, resourceVersionMatch, timeoutSeconds } = options;
  if (labelSelector) query["labelSelector"] = labelSelector;
  if (fieldSelector) query["fieldSelector"] = fieldSelector;
  if (limit !== undefined) query["limit"] = String(limit);
  if (options.continue) query["continue"] = options.continue;
  if (resourceVersion !== undefined) query["resourceVersion"] = resourceVersion;
  if (resourceVersionMatch) query["resourceVersionMatch"] = resourceVersionMatch;
  if (timeoutSeconds !== undefined) query["timeoutSeconds"] = String(timeoutSeconds);
  if (options.allowWatchBookmarks) query["allowWatchBookmarks"] = "true";
  if (options.sendInitialEvents) {
    query["sendInitialEvents"] = "true";
    query["resourceVersionMatch"] = "NotOlderThan";
  }
  return query;
}
