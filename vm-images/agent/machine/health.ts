/** Whether the node runs short of memory, disk or process ids: the kubelet's eviction thresholds. */
import { readFile, statfs } from "node:fs/promises";

const LEAST_MEMORY = 100 * 1024 * 1024;
const LEAST_DISK_SHARE = 0.1;
const LEAST_PIDS_SHARE = 0.05;

export interface Pressure {
  memoryPressure: boolean;
  diskPressure: boolean;
  pidPressure: boolean;
}

export async function nodeHealth(): Promise<Pressure> {
  const [memory, load, limit, disk] = await Promise.all([
    readFile("/proc/meminfo", "utf8"),
    readFile("/proc/loadavg", "utf8"),
    readFile("/proc/sys/kernel/pid_max", "utf8"),
    statfs("/var/lib"),
  ]);
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(memory)?.[1] ?? Infinity) * 1024;
  const processes = Number(load.split(" ")[3]?.split("/")[1] ?? 0);
  return {
    memoryPressure: available < LEAST_MEMORY,
    diskPressure: disk.bavail / disk.blocks < LEAST_DISK_SHARE,
    pidPressure: processes > Number(limit) * (1 - LEAST_PIDS_SHARE),
  };
}
