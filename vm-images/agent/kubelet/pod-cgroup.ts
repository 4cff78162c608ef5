/**
 * The cgroup that holds a Pod's containers: its share of the CPU is the sum of what they ask for, and it has limits when
 * all of them have. Made before the first container, removed with the Pod.
 */
import { mkdir, rmdir, writeFile } from "node:fs/promises";
import type { Pod } from "../../../common/kube/types.ts";
import { podUid } from "./pod.ts";
import { milliValue, wholeValue } from "./resources.ts";

const ROOT = "/sys/fs/cgroup";
const PARENT = "/kubepods";
const CONTROLLERS = "+cpu +memory +pids";
const PERIOD = 100_000;
/** Processes and threads of one Pod: more than any program needs, and far fewer than the kernel has. */
const PODS_PROCESSES = 4096;

export interface PodLimits {
  /** cgroup v2's, 1 to 10000. */
  cpuWeight: number;
  /** "quota period" in microseconds, or "max period". */
  cpuMax: string;
  /** Bytes, or "max". */
  memoryMax: string;
}

/** Below the cgroup file system's root. Pods of all qualities of service are siblings: their weights tell them apart. */
export function podCgroup(uid: string): string {
  return `${PARENT}/pod${uid}`;
}

export function podLimits(pod: Pod): PodLimits {
  const containers = [
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always"),
  ];
  let shares = 0;
  let cpu = 0;
  let memory = 0;
  for (const { resources } of containers) {
    const limits = (resources?.limits ?? {}) as Record<string, string | number>;
    const requests = (resources?.requests ?? {}) as Record<string, string | number>;
    shares += (milliValue(requests["cpu"] ?? limits["cpu"] ?? 0) * 1024) / 1000;
    cpu = limits["cpu"] === undefined ? Infinity : cpu + milliValue(limits["cpu"]);
    memory = limits["memory"] === undefined ? Infinity : memory + wholeValue(limits["memory"]);
  }
  // Init containers run alone, and may be allowed more than the others together.
  for (const { resources } of pod.spec?.initContainers ?? []) {
    const limits = (resources?.limits ?? {}) as Record<string, string | number>;
    cpu = limits["cpu"] === undefined ? Infinity : Math.max(cpu, milliValue(limits["cpu"]));
    memory = limits["memory"] === undefined ? Infinity : Math.max(memory, wholeValue(limits["memory"]));
  }
  if ((pod.spec?.ephemeralContainers ?? []).length > 0) cpu = memory = Infinity;
  const bounded = Math.min(262_144, Math.max(2, shares));
  return {
    cpuWeight: Math.floor(1 + ((bounded - 2) * 9999) / 262_142),
    cpuMax: `${Number.isFinite(cpu) && cpu > 0 ? Math.max(1000, cpu * (PERIOD / 1000)) : "max"} ${PERIOD}`,
    memoryMax: Number.isFinite(memory) && memory > 0 ? String(memory) : "max",
  };
}

/** Makes the cgroup, or brings its limits up to date. All Pods together get what the node offers to them: Docker and the agent keep the rest. */
export async function preparePodCgroup(pod: Pod, allocatableBytes: number): Promise<void> {
  const folder = `${ROOT}${podCgroup(podUid(pod))}`;
  await mkdir(folder, { recursive: true });
  for (const parent of [ROOT, `${ROOT}${PARENT}`]) await writeFile(`${parent}/cgroup.subtree_control`, CONTROLLERS);
  await writeFile(`${ROOT}${PARENT}/memory.max`, String(Math.floor(allocatableBytes)));
  await writeFile(`${folder}/pids.max`, String(PODS_PROCESSES));
  const { cpuWeight, cpuMax, memoryMax } = podLimits(pod);
  await writeFile(`${folder}/cpu.weight`, String(cpuWeight));
  await writeFile(`${folder}/cpu.max`, cpuMax);
  await writeFile(`${folder}/memory.max`, memoryMax);
}

/** A container that runs out of memory ends as a whole, as cgroup v2 nodes have it. It may have ended already. */
export async function endTogether(pod: Pod, containerId: string): Promise<void> {
  const file = `${ROOT}${podCgroup(podUid(pod))}/${containerId}/memory.oom.group`;
  await writeFile(file, "1", { flag: "r+" }).catch(() => undefined);
}

/** False when something in it is still ending: an empty cgroup costs next to nothing, and must hold nothing up. */
export async function removePodCgroup(uid: string): Promise<boolean> {
  try {
    await rmdir(`${ROOT}${podCgroup(uid)}`);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
