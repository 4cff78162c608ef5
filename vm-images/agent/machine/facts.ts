/** What this machine is: for the Node's capacity and nodeInfo. */
import { readFile, statfs } from "node:fs/promises";
import { availableParallelism, totalmem, release } from "node:os";

export interface MachineFacts {
  cpus: number;
  memoryBytes: number;
  diskBytes: number;
  kernelVersion: string;
  osImage: string;
  machineId: string;
  bootId: string;
}

export async function machineFacts(): Promise<MachineFacts> {
  const text = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
  const [osRelease, machineId, bootId, disk] = await Promise.all([
    text("/etc/os-release"),
    text("/etc/machine-id"),
    text("/proc/sys/kernel/random/boot_id"),
    statfs("/var/lib"),
  ]);
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    diskBytes: disk.blocks * disk.bsize,
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? "Linux",
    machineId: machineId.trim(),
    bootId: bootId.trim(),
  };
}
