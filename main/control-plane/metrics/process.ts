/** What every Prometheus client says of its process, and which version this is. */
import { readFileSync, readdirSync } from "node:fs";
import type { MetricsRegistry } from "../../../common/kube/metrics.ts";
import { serverVersion } from "../api/version.ts";

export function processMetrics(registry: MetricsRegistry): void {
  const gauge = (name: string, help: string): { value: number } => registry.gauge(name, help).with();
  const resident = gauge("process_resident_memory_bytes", "Memory in RAM.");
  const virtual = gauge("process_virtual_memory_bytes", "Memory that is mapped.");
  const open = gauge("process_open_fds", "Files and sockets that are open.");
  const most = gauge("process_max_fds", "Files and sockets that may be open.");
  gauge("process_start_time_seconds", "When the process began.").value = Math.round(
    Date.now() / 1000 - process.uptime(),
  );
  const cpu = registry.counter("process_cpu_seconds_total", "Time on the processor.").with();
  const { major, minor, gitVersion, platform } = serverVersion;
  registry
    .gauge("kubernetes_build_info", "The version, as labels.")
    .with({ major, minor, git_version: gitVersion, platform }).value = 1;
  registry.onCollect(() => {
    resident.value = process.memoryUsage.rss();
    const { user, system } = process.cpuUsage();
    cpu.value = (user + system) / 1e6;
    // Only Linux tells these so.
    if (process.platform !== "linux") return;
    virtual.value = Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) * 1024;
    open.value = readdirSync("/proc/self/fd").length;
    const limits = readFileSync("/proc/self/limits", "utf8");
    most.value = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0);
  });
}
