/**
 * Static Pods: manifests in a folder of the node, which run whether or not there is an API server. For each a mirror Pod is kept
 * in the API, so that clients see it; deleting the mirror does not end the Pod, removing the manifest does.
 */
import { createHash } from "node:crypto";
import { watch } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "../../../common/kube/client.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { sleep } from "../command.ts";
import type { Log } from "../log.ts";
import { podName, podUid } from "./pod.ts";

export const MANIFESTS = "/etc/kubernetes/manifests";
const LOOK_EVERY = 20_000;
const DEADLINE = 15_000;
/** A file that is being written changes more than once. */
const SETTLE = 200;

export const MIRROR = "kubernetes.io/config.mirror";
const HASH = "kubernetes.io/config.hash";
const SOURCE = "kubernetes.io/config.source";

/** What the node runs for a mirror Pod: its own, which has another uid. Other Pods are what they are. */
export function runtimePod(pod: Pod): Pod {
  const uid = pod.metadata.annotations?.[MIRROR];
  return uid === undefined ? pod : { ...pod, metadata: { ...pod.metadata, uid } };
}

export function isStatic(pod: Pod): boolean {
  return pod.metadata.annotations?.[SOURCE] === "file";
}

/** The Pod of a manifest on this node. Throws when it is none. */
export function staticPod(manifest: unknown, text: string, nodeName: string): Pod {
  const { apiVersion, kind, metadata, spec } = (manifest ?? {}) as Partial<Pod>;
  if (apiVersion !== "v1" || kind !== "Pod") throw new Error(`not a v1 Pod but ${apiVersion ?? "?"} ${kind ?? "?"}`);
  if (!metadata?.name) throw new Error("a Pod without a name");
  if (!spec?.containers?.length) throw new Error("a Pod without containers");
  const uid = createHash("md5").update(`${nodeName}\n${text}`).digest("hex");
  return {
    apiVersion,
    kind,
    metadata: {
      ...metadata,
      name: `${metadata.name}-${nodeName}`,
      namespace: metadata.namespace ?? "default",
      uid,
      annotations: { ...metadata.annotations, [HASH]: uid, [SOURCE]: "file" },
    },
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      dnsPolicy: "ClusterFirst",
      ...spec,
      nodeName,
      tolerations: [...(spec.tolerations ?? []), { operator: "Exists", effect: "NoExecute" }],
    },
  } as Pod;
}

/** What to do about the mirrors: those that are there against those that should be. Pure. */
export function mirrorPlan(wanted: readonly Pod[], mirrors: readonly Pod[]): { create: Pod[]; remove: Pod[] } {
  const hashes = new Map(wanted.map((pod) => [podName(pod), podUid(pod)]));
  const right = new Set(
    mirrors
      .filter(
        (mirror) =>
          !mirror.metadata.deletionTimestamp && hashes.get(podName(mirror)) === mirror.metadata.annotations?.[MIRROR],
      )
      .map(podName),
  );
  return {
    remove: mirrors.filter((mirror) => !right.has(podName(mirror))),
    create: wanted.filter((pod) => !right.has(podName(pod))),
  };
}

/** By file name; a file that is no Pod has none. */
type Manifests = Map<string, { text: string; pod: Pod | undefined }>;

export interface StaticPodsOptions {
  client: Client;
  nodeName: string;
  log: Log;
  folder?: string;
  /** The Node, once the API has it. */
  node(): Node | undefined;
  /** The mirror Pods of this node that the API has; undefined while that is not known. */
  mirrors(): Pod[] | undefined;
  /** All static Pods there are now. */
  changed(pods: Pod[]): void;
  /** Its mirror is there (again). */
  mirrored(uid: string): void;
}

export class StaticPods {
  readonly #options: StaticPodsOptions;
  readonly #folder: string;
  #pods: Pod[] = [];
  #read: Manifests = new Map();
  #wake = Promise.withResolvers<void>();

  constructor(options: StaticPodsOptions) {
    this.#options = options;
    this.#folder = options.folder ?? MANIFESTS;
  }

  pods(): Pod[] {
    return this.#pods;
  }

  /** The mirrors have changed. */
  poke(): void {
    this.#wake.resolve();
  }

  async run(signal: AbortSignal): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const watcher = watch(this.#folder, { signal }, () => this.poke());
    // It ends with an error when the signal aborts; the regular look goes on without it anyway.
    watcher.on("error", () => undefined);
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      try {
        await this.#look();
        await this.#mirror();
      } catch (error) {
        this.#options.log.error("static", this.#folder, error);
      }
      const rest = new AbortController();
      await Promise.race([this.#wake.promise, sleep(LOOK_EVERY, AbortSignal.any([signal, rest.signal]))]);
      rest.abort();
      await sleep(SETTLE, signal);
    }
  }

  async #look(): Promise<void> {
    const { nodeName, log, changed } = this.#options;
    const read: Manifests = new Map();
    for (const name of (await readdir(this.#folder)).toSorted()) {
      if (name.startsWith(".") || !/\.(ya?ml|json)$/.test(name)) continue;
      const text = await readFile(join(this.#folder, name), "utf8").catch(() => undefined);
      if (text === undefined) continue;
      const known = this.#read.get(name);
      if (known?.text === text) {
        read.set(name, known);
        continue;
      }
      let pod: Pod | undefined;
      try {
        // Few nodes have manifests: the others need not know how to read them.
        const { parse } = await import("yaml");
        pod = staticPod(parse(text), text, nodeName);
      } catch (error) {
        log.error("static", name, error);
      }
      read.set(name, { text, pod });
    }
    const same = read.size === this.#read.size && [...read].every(([name, entry]) => this.#read.get(name) === entry);
    this.#read = read;
    if (same) return;
    this.#pods = [...read.values()].flatMap(({ pod }) => pod ?? []);
    changed(this.#pods);
  }

  async #mirror(): Promise<void> {
    const { client, mirrors, node, mirrored } = this.#options;
    const there = mirrors();
    const owner = node();
    if (!there || !owner) return;
    const { create, remove } = mirrorPlan(this.#pods, there);
    const signal = AbortSignal.timeout(DEADLINE);
    for (const { metadata } of remove) {
      const ref = { ...PODS, namespace: metadata.namespace ?? "", name: metadata.name ?? "" };
      const preconditions = { uid: metadata.uid ?? "" };
      await client.delete(ref, { gracePeriodSeconds: 0, preconditions, signal }).catch((error: unknown) => {
        if (!isStatus(error, "NotFound", "Conflict")) throw error;
      });
    }
    for (const pod of create) {
      const { uid, ...metadata } = pod.metadata;
      const ownerReferences = [
        { apiVersion: "v1", kind: "Node", name: owner.metadata.name, uid: owner.metadata.uid, controller: true },
      ];
      const annotations = { ...metadata.annotations, [MIRROR]: uid };
      const mirror = { ...pod, metadata: { ...metadata, annotations, ownerReferences } } as Pod;
      const ref = { ...PODS, namespace: metadata.namespace ?? "", name: metadata.name ?? "" };
      try {
        await client.create(ref, mirror, { signal });
        mirrored(uid ?? "");
      } catch (error) {
        // The one that is being removed is still there: its end is told, and this is done again.
        if (!isStatus(error, "AlreadyExists")) throw error;
      }
    }
  }
}

const PODS = { group: "", version: "v1", resource: "pods" };
