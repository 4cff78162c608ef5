/**
 * Reads ConfigMaps, Secrets and service-account tokens for Pods. An answer is shared for a few seconds, so that
 * the containers of one Pod (and ten Pods of one Deployment) cost one request; tokens are kept until most of their life is over.
 */
import type { Client } from "../../../common/kube/client.ts";
import type { GroupVersionResource, KubeObject } from "../../../common/kube/object.ts";
import type { ConfigMap, PersistentVolume, PersistentVolumeClaim, Secret } from "../../../common/kube/types.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { ObjectReader } from "../kubelet/context.ts";
import { monotonicNow } from "../monotonic.ts";

const SHARED = 3_000;
const DEADLINE = 15_000;
/** A token is renewed when this part of its life is over. */
const RENEW_AT = 0.8;
/** …and at the latest after a day. */
const RENEW_MAX = 24 * 3_600_000;

export function createObjectReader(client: Client): ObjectReader {
  const reads = new Map<string, { at: number; answer: Promise<KubeObject | undefined> }>();
  const tokens = new Map<string, { token: string; renewAt: number; expires: number }>();

  const core = <T extends KubeObject>(
    resource: string,
    namespace: string | undefined,
    name: string,
  ): Promise<T | undefined> => read<T>({ group: "", version: "v1", resource, name }, namespace);

  function read<T extends KubeObject>(
    ref: GroupVersionResource & { name: string },
    namespace: string | undefined,
  ): Promise<T | undefined> {
    const key = `${ref.resource}/${namespace}/${ref.name}`;
    const known = reads.get(key);
    if (known && monotonicNow() - known.at < SHARED) return known.answer as Promise<T | undefined>;
    const answer = client
      .get<T>({ ...ref, ...(namespace === undefined ? {} : { namespace }) }, { signal: AbortSignal.timeout(DEADLINE) })
      .catch((error: unknown) => {
        if (isStatus(error, "NotFound")) return undefined;
        reads.delete(key);
        throw error;
      });
    for (const [other, { at }] of reads) if (monotonicNow() - at >= SHARED) reads.delete(other);
    reads.set(key, { at: monotonicNow(), answer });
    return answer;
  }

  return {
    forget(namespace) {
      for (const key of reads.keys()) if (key.split("/")[1] === namespace) reads.delete(key);
    },
    configMap: (namespace, name) => core<ConfigMap>("configmaps", namespace, name),
    secret: (namespace, name) => core<Secret>("secrets", namespace, name),
    claim: (namespace, name) => core<PersistentVolumeClaim>("persistentvolumeclaims", namespace, name),
    persistentVolume: (name) => core<PersistentVolume>("persistentvolumes", undefined, name),
    async runtimeHandler(name) {
      const ref = { group: "node.k8s.io", version: "v1", resource: "runtimeclasses", name };
      return (await read<KubeObject & { handler?: string }>(ref, undefined))?.handler;
    },
    async token(pod, serviceAccount, audience, expirationSeconds) {
      const key = [pod.uid, serviceAccount, audience ?? "", expirationSeconds].join("|");
      const known = tokens.get(key);
      const now = Date.now();
      if (known && now < known.renewAt) return known.token;
      const request = {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        metadata: {},
        spec: {
          ...(audience ? { audiences: [audience] } : {}),
          expirationSeconds,
          boundObjectRef: { apiVersion: "v1", kind: "Pod", name: pod.name, uid: pod.uid },
        },
      };
      try {
        const ref = {
          group: "",
          version: "v1",
          resource: "serviceaccounts",
          namespace: pod.namespace,
          name: serviceAccount,
          subresource: "token",
        };
        const answer = await client.create(ref, request as KubeObject, { signal: AbortSignal.timeout(DEADLINE) });
        const { token, expirationTimestamp } = answer["status"] as { token: string; expirationTimestamp: string };
        const expires = Date.parse(expirationTimestamp);
        for (const [other, entry] of tokens) if (entry.expires < now) tokens.delete(other);
        tokens.set(key, { token, expires, renewAt: now + Math.min((expires - now) * RENEW_AT, RENEW_MAX) });
        return token;
      } catch (error) {
        // A token that is still good serves while the server is away.
        if (known && now < known.expires && !isStatus(error, "NotFound", "Forbidden")) return known.token;
        throw error;
      }
    },
  };
}
