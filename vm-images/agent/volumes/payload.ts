/** What the files of configMap, secret, downwardAPI and projected volumes hold. Pure but for the sources handed in. */
import type { ConfigMap, Pod, Secret } from "../../../common/kube/types.ts";
import { podField, resourceField } from "../kubelet/downward.ts";
import type { NodeFacts } from "../kubelet/downward.ts";
import type { Payload } from "./atomic-directory.ts";
import type { ClaimSources } from "./claims.ts";

export type Volume = NonNullable<NonNullable<Pod["spec"]>["volumes"]>[number];

/** A volume that cannot be set up (yet): the Pod waits and the message becomes a FailedMount event. */
export class VolumeError extends Error {}

/** What volumes are made from, of one Pod's namespace. */
export interface PayloadSources extends ClaimSources {
  configMap(name: string): Promise<ConfigMap | undefined>;
  secret(name: string): Promise<Secret | undefined>;
  token(audience: string | undefined, expirationSeconds: number): Promise<string>;
  facts: NodeFacts;
}

interface KeyToPath {
  key: string;
  path: string;
  mode?: number;
}

const DEFAULT_MODE = 0o644;
const DEFAULT_TOKEN_SECONDS = 3600;

/** undefined: not a volume made of files of the API. */
export async function volumePayload(pod: Pod, volume: Volume, sources: PayloadSources): Promise<Payload | undefined> {
  const payload: Payload = new Map();
  if (volume.configMap) {
    const { name = "", items, optional, defaultMode } = volume.configMap;
    addConfigMap(
      payload,
      await sources.configMap(name),
      name,
      pod,
      items as KeyToPath[],
      optional,
      defaultMode ?? DEFAULT_MODE,
    );
  } else if (volume.secret) {
    const { secretName = "", items, optional, defaultMode } = volume.secret;
    addSecret(
      payload,
      await sources.secret(secretName),
      secretName,
      pod,
      items as KeyToPath[],
      optional,
      defaultMode ?? DEFAULT_MODE,
    );
  } else if (volume.downwardAPI) {
    addDownward(
      payload,
      pod,
      volume.downwardAPI.items ?? [],
      sources.facts,
      volume.downwardAPI.defaultMode ?? DEFAULT_MODE,
    );
  } else if (volume.projected) {
    const mode = volume.projected.defaultMode ?? DEFAULT_MODE;
    for (const source of volume.projected.sources ?? []) {
      if (source.configMap) {
        const { name = "", items, optional } = source.configMap;
        addConfigMap(payload, await sources.configMap(name), name, pod, items as KeyToPath[], optional, mode);
      } else if (source.secret) {
        const { name = "", items, optional } = source.secret;
        addSecret(payload, await sources.secret(name), name, pod, items as KeyToPath[], optional, mode);
      } else if (source.downwardAPI) {
        addDownward(payload, pod, source.downwardAPI.items ?? [], sources.facts, mode);
      } else if (source.serviceAccountToken) {
        const { audience, expirationSeconds, path } = source.serviceAccountToken;
        const token = await sources.token(audience || undefined, expirationSeconds ?? DEFAULT_TOKEN_SECONDS);
        // Only its owner reads a token; a group that asked for the volume gets it by fsGroup.
        payload.set(path, {
          data: Buffer.from(token),
          mode: pod.spec?.securityContext?.fsGroup === undefined && runsAsRoot(pod) ? 0o600 : 0o644,
        });
      }
    }
  } else {
    return undefined;
  }
  return payload;
}

function runsAsRoot(pod: Pod): boolean {
  return (
    (pod.spec?.securityContext?.runAsUser ?? 0) === 0 &&
    (pod.spec?.containers ?? []).every((container) => (container.securityContext?.runAsUser ?? 0) === 0)
  );
}

function addConfigMap(
  payload: Payload,
  map: ConfigMap | undefined,
  name: string,
  pod: Pod,
  items: KeyToPath[] | undefined,
  optional: boolean | undefined,
  mode: number,
): void {
  if (!map && !optional) throw new VolumeError(`configmap "${name}" not found`);
  const data = new Map<string, Buffer>();
  for (const [key, text] of Object.entries(map?.data ?? {})) data.set(key, Buffer.from(text));
  for (const [key, base64] of Object.entries(map?.binaryData ?? {}))
    data.set(key, Buffer.from(base64 as string, "base64"));
  addKeys(payload, data, items, optional || !map, mode, `configmap ${pod.metadata.namespace}/${name}`);
}

function addSecret(
  payload: Payload,
  secret: Secret | undefined,
  name: string,
  pod: Pod,
  items: KeyToPath[] | undefined,
  optional: boolean | undefined,
  mode: number,
): void {
  if (!secret && !optional) throw new VolumeError(`secret "${name}" not found`);
  const data = new Map<string, Buffer>();
  for (const [key, base64] of Object.entries(secret?.data ?? {}))
    data.set(key, Buffer.from(base64 as string, "base64"));
  addKeys(payload, data, items, optional || !secret, mode, `secret ${pod.metadata.namespace}/${name}`);
}

function addKeys(
  payload: Payload,
  data: Map<string, Buffer>,
  items: KeyToPath[] | undefined,
  lenient: boolean | undefined,
  mode: number,
  what: string,
): void {
  if (!items || items.length === 0) {
    for (const [key, content] of data) payload.set(key, { data: content, mode });
    return;
  }
  for (const item of items) {
    const content = data.get(item.key);
    if (content) payload.set(item.path, { data: content, mode: item.mode ?? mode });
    else if (!lenient) throw new VolumeError(`${what} references non-existent config key: ${item.key}`);
  }
}

function addDownward(
  payload: Payload,
  pod: Pod,
  items: NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>,
  facts: NodeFacts,
  mode: number,
): void {
  for (const item of items) {
    let text = "";
    if (item.fieldRef) text = podField(pod, item.fieldRef.fieldPath, facts) ?? "";
    else if (item.resourceFieldRef) {
      const container =
        pod.spec?.containers.find(({ name }) => name === item.resourceFieldRef?.containerName) ??
        pod.spec?.containers[0];
      if (container)
        text = resourceField(
          pod,
          container,
          item.resourceFieldRef as { resource: string; containerName?: string; divisor?: string },
          facts,
        );
    }
    payload.set(item.path, { data: Buffer.from(text), mode: item.mode ?? mode });
  }
}
