/**
 * Applying from the client's side, as kubectl does without --server-side: for servers that do not take
 * apply patches. What was applied before is kept in an annotation, so that fields taken out go away.
 */
import type { KubeObject } from "../../common/kube/object.ts";
import { isStatus } from "../../common/kube/status.ts";
import type { KubeApi, KubeResponse } from "../kube/api.ts";

export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

export interface ClientApply {
  /** Paths with their query (fieldManager, dryRun, fieldValidation). */
  objectPath: string;
  collectionPath: string;
  live: KubeObject | undefined;
  object: KubeObject;
}

export async function applyFromClient(
  api: KubeApi,
  { objectPath, collectionPath, live, object }: ClientApply,
): Promise<KubeResponse> {
  const annotated = withLastApplied(object);
  if (!live) return api.request(collectionPath, { method: "POST", body: annotated });
  const before = parseLastApplied(live.metadata.annotations?.[LAST_APPLIED]);
  const body = { ...annotated, ...removedFields(before, annotated) };
  const patch = (type: string): Promise<KubeResponse> =>
    api.request(objectPath, { method: "PATCH", headers: { "content-type": type }, body });
  try {
    return await patch("application/strategic-merge-patch+json");
  } catch (error) {
    // Custom resources know no strategic merge.
    if (!isStatus(error, "UnsupportedMediaType")) throw error;
    return patch("application/merge-patch+json");
  }
}

function withLastApplied(object: KubeObject): KubeObject {
  const annotations = { ...object.metadata.annotations };
  delete annotations[LAST_APPLIED];
  const plain = { ...object, metadata: { ...object.metadata, annotations } };
  return {
    ...plain,
    metadata: { ...plain.metadata, annotations: { ...annotations, [LAST_APPLIED]: `${JSON.stringify(plain)}\n` } },
  };
}

function parseLastApplied(text: string | undefined): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    // Somebody wrote the annotation by hand: then nothing is taken out.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `now` with null wherever a field of `before` is no longer there; lists are left to the server's merge. */
export function removedFields(before: unknown, now: Record<string, unknown> | KubeObject): Record<string, unknown> {
  const patch: Record<string, unknown> = { ...now };
  if (!isMap(before)) return patch;
  for (const [key, old] of Object.entries(before)) {
    if (!(key in patch)) patch[key] = null;
    else if (isMap(old) && isMap(patch[key])) patch[key] = removedFields(old, patch[key]);
  }
  return patch;
}
