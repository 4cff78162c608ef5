/** What the kernel counts for a cgroup, a network namespace and the machine. Reading is pure of state; parsing is pure. */
import { readFile } from "node:fs/promises";

const ROOT = "/sys/fs/cgroup";

export interface Usage {
  /** CPU time used so far, in nanoseconds. */
  cpuNanos: number;
  memoryBytes: number;
  /** Memory that cannot be taken back without harm: usage less the page cache that nobody used lately. */
  workingSetBytes: number;
  rssBytes: number;
  pageFaults: number;
  majorPageFaults: number;
}

export interface Traffic {
  name: string;
  rxBytes: number;
  rxErrors: number;
  txBytes: number;
  txErrors: number;
}

/** The values of "key value" lines. */
export function parseFlat(text: string): Map<string, number> {
  return new Map(
    text.split("\n").flatMap((line) => {
      const [key, value] = line.split(" ");
      return key && value !== undefined ? [[key, Number(value)] as const] : [];
    }),
  );
}

export function usageOf(cpuStat: string, memoryCurrent: string, memoryStat: string): Usage {
  const cpu = parseFlat(cpuStat);
  const memory = parseFlat(memoryStat);
  const memoryBytes = Number(memoryCurrent);
  return {
    cpuNanos: (cpu.get("usage_usec") ?? 0) * 1000,
    memoryBytes,
    workingSetBytes: Math.max(0, memoryBytes - (memory.get("inactive_file") ?? 0)),
    rssBytes: memory.get("anon") ?? 0,
    pageFaults: memory.get("pgfault") ?? 0,
    majorPageFaults: memory.get("pgmajfault") ?? 0,
  };
}

/** /proc/net/dev, without the loopback. */
export function parseTraffic(text: string): Traffic[] {
  return text.split("\n").flatMap((line) => {
    const [name, rest] = line.split(":");
    if (rest === undefined || name?.trim() === "lo") return [];
    const [rxBytes = 0, , rxErrors = 0, , , , , , txBytes = 0, , txErrors = 0] = rest.trim().split(/\s+/).map(Number);
    return [{ name: name?.trim() ?? "", rxBytes, rxErrors, txBytes, txErrors }];
  });
}

/** The node's own: there is no cgroup that holds everything but the root, which counts no memory. */
export function machineUsage(cpuStat: string, meminfo: string): Usage & { availableBytes: number } {
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(meminfo)?.[1] ?? 0) * 1024;
  const memoryBytes = kib("MemTotal") - kib("MemFree");
  const workingSetBytes = Math.max(0, memoryBytes - kib("Inactive\\(file\\)"));
  return {
    cpuNanos: (parseFlat(cpuStat).get("usage_usec") ?? 0) * 1000,
    memoryBytes,
    workingSetBytes,
    rssBytes: kib("AnonPages"),
    pageFaults: 0,
    majorPageFaults: 0,
    availableBytes: Math.max(0, kib("MemTotal") - workingSetBytes),
  };
}

/** undefined when the process (or its cgroup) has gone. */
export async function cgroupOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
  return /^0::(.*)$/m.exec(text)?.[1];
}

export async function readUsage(cgroup: string): Promise<Usage | undefined> {
  try {
    const [cpu, current, stat] = await Promise.all(
      ["cpu.stat", "memory.current", "memory.stat"].map((file) => readFile(`${ROOT}${cgroup}/${file}`, "utf8")),
    );
    return usageOf(cpu as string, current as string, stat as string);
  } catch {
    // It has ended in between.
    return undefined;
  }
}

export async function readMachine(): Promise<ReturnType<typeof machineUsage>> {
  const [cpu, memory] = await Promise.all([readFile(`${ROOT}/cpu.stat`, "utf8"), readFile("/proc/meminfo", "utf8")]);
  return machineUsage(cpu, memory);
}

export async function readTraffic(pid: number | "self"): Promise<Traffic[]> {
  return parseTraffic(await readFile(`/proc/${pid}/net/dev`, "utf8").catch(() => ""));
}
