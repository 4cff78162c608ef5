/** Whom to evict when the node runs short, and whose emptyDirs have grown too large. Pure. */
import type { Pod } from "../../../common/kube/types.ts";
import { qosClass } from "../kubelet/pod.ts";
import { wholeValue } from "../kubelet/resources.ts";
import type { PodSample } from "../stats/collect.ts";

export interface Eviction {
  pod: Pod;
  message: string;
}

export type Shortage = "memory" | "ephemeral-storage";

const CRITICAL = 2_000_000_000;

/** Static Pods and those the cluster cannot do without are never evicted. */
function isCritical({ metadata, spec }: Pod): boolean {
  return (spec?.priority ?? 0) >= CRITICAL || metadata.annotations?.["kubernetes.io/config.source"] === "file";
}

function requested(pod: Pod, resource: Shortage): number {
  let sum = 0;
  for (const { resources } of pod.spec?.containers ?? [])
    sum += wholeValue(((resources?.requests ?? {}) as Record<string, string | number>)[resource] ?? 0);
  return sum;
}

function used(sample: PodSample, shortage: Shortage): number {
  const ofContainers = sample.containers.reduce(
    (total, { usage, logBytes, layerBytes }) =>
      total + (shortage === "memory" ? usage.workingSetBytes : logBytes + layerBytes),
    0,
  );
  const ofVolumes = sample.volumes.filter(({ claim }) => !claim).reduce((total, { usedBytes }) => total + usedBytes, 0);
  return ofContainers + (shortage === "memory" ? 0 : ofVolumes);
}

/** The Pod that goes first: one that uses more than it asked for, of the least priority, furthest above its request. */
export function victimOf(samples: readonly PodSample[], shortage: Shortage): Eviction | undefined {
  const ranked = samples
    .filter(({ pod, containers }) => containers.length > 0 && !isCritical(pod) && !pod.metadata.deletionTimestamp)
    .map((sample) => ({ sample, excess: used(sample, shortage) - requested(sample.pod, shortage) }))
    .toSorted(
      (a, b) =>
        Number(b.excess > 0) - Number(a.excess > 0) ||
        (a.sample.pod.spec?.priority ?? 0) - (b.sample.pod.spec?.priority ?? 0) ||
        b.excess - a.excess,
    );
  const [first] = ranked;
  // What is guaranteed goes only when nothing else is left that uses more than it asked for.
  if (!first || (first.excess <= 0 && qosClass(first.sample.pod) === "Guaranteed")) return undefined;
  return { pod: first.sample.pod, message: `The node was low on resource: ${shortage}. ` };
}

/** Pods with an emptyDir on disk that has outgrown its sizeLimit. */
export function overgrown(samples: readonly PodSample[]): Eviction[] {
  return samples.flatMap(({ pod, volumes }) => {
    for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
      const limit = emptyDir?.sizeLimit as string | undefined;
      if (limit === undefined || emptyDir?.medium === "Memory") continue;
      const usage = volumes.find((volume) => volume.name === name)?.usedBytes ?? 0;
      if (usage > wholeValue(limit))
        return [{ pod, message: `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". ` }];
    }
    return [];
  });
}

/** What a container of the Pod may at most write to the node's disk; undefined when there is no limit. */
function diskLimit(container: { resources?: { limits?: unknown } }): string | undefined {
  return (container.resources?.limits as Record<string, string> | undefined)?.["ephemeral-storage"];
}

/** Whether it takes a look at the disk to know that the Pod keeps to its limits. */
export function hasDiskLimit({ spec }: Pod): boolean {
  return (
    (spec?.volumes ?? []).some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined) ||
    (spec?.containers ?? []).some((container) => diskLimit(container) !== undefined)
  );
}

/** Pods that have written more to the node's disk than their limits of ephemeral-storage allow. */
export function overLimit(samples: readonly PodSample[]): Eviction[] {
  return samples.flatMap((sample) => {
    const { pod, containers } = sample;
    const specs = pod.spec?.containers ?? [];
    const limits = specs.map(diskLimit);
    const total = limits.reduce((sum, limit) => sum + wholeValue(limit ?? 0), 0);
    if (total > 0 && limits.every((limit) => limit !== undefined) && used(sample, "ephemeral-storage") > total)
      return [{ pod, message: `Pod ephemeral local storage usage exceeds the total limit of containers ${total}. ` }];
    for (const [index, { name }] of specs.entries()) {
      const limit = limits[index];
      const container = containers.find((each) => each.name === name);
      if (limit !== undefined && container && container.logBytes + container.layerBytes > wholeValue(limit))
        return [{ pod, message: `Container ${name} exceeded its local ephemeral storage limit "${limit}". ` }];
    }
    return [];
  });
}

export interface ImageInUse {
  id: string;
  names: string[];
  bytes: number;
}

/** Images to remove, the largest first, until `bytes` are free again: none that a container uses or that came with the node. */
export function unusedImages(images: readonly ImageInUse[], used: ReadonlySet<string>, bytes: number): string[] {
  const result: string[] = [];
  let freed = 0;
  for (const image of images.toSorted((a, b) => b.bytes - a.bytes)) {
    if (freed >= bytes) break;
    if (used.has(image.id) || image.names.some((name) => name.startsWith("drydock.local/"))) continue;
    result.push(image.id);
    freed += image.bytes;
  }
  return result;
}
