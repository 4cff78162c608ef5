/**
 * Keeps the node alive when it runs short: removes images that nobody uses, then evicts Pods, one at a time. Also holds Pods to the
 * limits of their emptyDirs and of ephemeral-storage. Looks at the node cheaply, and at its Pods only when there is a reason.
 */
import { statfs } from "node:fs/promises";
import type { Pod } from "../../../common/kube/types.ts";
import { sleep } from "../command.ts";
import type { EventRecorder } from "../kubelet/events.ts";
import { podUid } from "../kubelet/pod.ts";
import type { Log } from "../log.ts";
import type { Pressure } from "../machine/health.ts";
import type { RuntimeCache } from "../runtime/runtime-cache.ts";
import { SANDBOX } from "../runtime/names.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Collector } from "../stats/collect.ts";
import { hasDiskLimit, overgrown, overLimit, unusedImages, victimOf } from "./decide.ts";
import type { Eviction } from "./decide.ts";
import { monotonicNow } from "../monotonic.ts";

const EVERY = 10_000;
/** After an eviction the node has until the Pod has gone to recover before the next, and so long at least and at most. */
const RECOVERY = 20_000;
const RECOVERY_MAX = 120_000;
const RECOVERY_LOOK = 1_000;
const VOLUMES_EVERY = 60_000;
/** Above this share of the disk images are removed, until it is below the other. */
const IMAGES_HIGH = 0.85;
const IMAGES_LOW = 0.8;

export interface EvictionOptions {
  collector: Collector;
  runtime: Runtime;
  cache: RuntimeCache;
  events: EventRecorder;
  log: Log;
  health(): Promise<Pressure>;
  pods(): Pod[];
  /** Ends the Pod with phase Failed. */
  evict(pod: Pod, message: string): void;
  /** The node's conditions are to be told at once. */
  changed(): void;
}

export class EvictionManager {
  readonly #options: EvictionOptions;
  #measuredAt = 0;
  #told = "";

  constructor(options: EvictionOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let ended: Pod[] = [];
      try {
        ended = await this.#look();
      } catch (error) {
        this.#options.log.error("eviction", "looking", error);
      }
      if (ended.length > 0) await this.#recover(ended, signal);
      else await sleep(EVERY, signal);
    }
  }

  /** What an ended Pod had is free again when its containers have been removed: until then others must not pay for it. */
  async #recover(ended: Pod[], signal: AbortSignal): Promise<void> {
    const began = monotonicNow();
    const { cache } = this.#options;
    await sleep(RECOVERY, signal);
    while (!signal.aborted && monotonicNow() - began < RECOVERY_MAX) {
      if (ended.every((pod) => cache.ofPod(podUid(pod)).every(({ name }) => name?.container === SANDBOX))) return;
      await sleep(RECOVERY_LOOK, signal);
    }
  }

  /** The Pods that were ended. */
  async #look(): Promise<Pod[]> {
    const { collector, health, pods, changed } = this.#options;
    const pressure = await health();
    const told = JSON.stringify(pressure);
    if (told !== this.#told) changed();
    this.#told = told;
    await this.#collectImages();
    if (pressure.memoryPressure || pressure.diskPressure) {
      const { pods: samples } = await collector.collect();
      const victim = pressure.memoryPressure
        ? victimOf(samples, "memory")
        : victimOf(await collector.withLayers(samples), "ephemeral-storage");
      if (victim) this.#evict(victim);
      return victim ? [victim.pod] : [];
    }
    if (!pods().some(hasDiskLimit) || monotonicNow() - this.#measuredAt < VOLUMES_EVERY) return [];
    this.#measuredAt = monotonicNow();
    const { pods: all } = await collector.collect();
    const samples = await collector.withLayers(all.filter(({ pod }) => hasDiskLimit(pod)));
    const found = [...overgrown(samples), ...overLimit(samples)];
    for (const each of found) this.#evict(each);
    return found.map(({ pod }) => pod);
  }

  #evict({ pod, message }: Eviction): void {
    const { events, evict, log } = this.#options;
    log.info("eviction", `${pod.metadata.namespace}/${pod.metadata.name}: ${message}`);
    events.pod(pod, "Warning", "Evicted", message);
    evict(pod, message);
  }

  async #collectImages(): Promise<void> {
    const { runtime, cache, log } = this.#options;
    const { blocks, bavail, bsize } = await statfs("/var/lib");
    const total = blocks * bsize;
    const usedShare = 1 - bavail / blocks;
    if (usedShare < IMAGES_HIGH) return;
    const inUse = new Set(cache.all().map(({ imageId }) => imageId));
    for (const id of unusedImages(await runtime.images(), inUse, (usedShare - IMAGES_LOW) * total)) {
      await runtime
        .removeImage(id)
        .then(() => log.info("images", `removed ${id}: nobody uses it, and the disk is nearly full`))
        .catch((error: unknown) => log.error("images", `removing ${id}`, error));
    }
  }
}
