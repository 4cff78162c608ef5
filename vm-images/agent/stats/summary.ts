/** A sample as the kubelet's own API shows it: /stats/summary as JSON, /metrics/resource and /metrics/cadvisor as Prometheus text. Pure. */
import type { Pod } from "../../../common/kube/types.ts";
import { timestamp } from "../../../common/kube/clock.ts";
import type { Traffic, Usage } from "./cgroup.ts";
import type { ContainerSample, FileSystem, PodSample, Sample } from "./collect.ts";

export function summary(sample: Sample, nodeName: string, bootedAt: number): object {
  const time = timestamp(sample.at);
  return {
    node: {
      nodeName,
      startTime: timestamp(bootedAt),
      cpu: cpuStats(time, sample.node, sample.nodeCpuRate),
      memory: { ...memoryStats(time, sample.node), availableBytes: sample.node.availableBytes },
      network: networkStats(time, sample.nodeTraffic),
      fs: fileSystemStats(time, sample.disk),
      runtime: { imageFs: fileSystemStats(time, sample.disk), containerFs: fileSystemStats(time, sample.disk) },
    },
    pods: sample.pods
      .filter(({ containers }) => containers.length > 0)
      .map((each) => {
        const total = sum(each.containers);
        return {
          podRef: podRef(each.pod),
          startTime: each.pod.status?.startTime ?? time,
          containers: each.containers.map((container) => ({
            name: container.name,
            startTime: timestamp(container.startedAt),
            cpu: cpuStats(time, container.usage, container.cpuRate),
            memory: memoryStats(time, container.usage),
            logs: { ...fileSystemStats(time, sample.disk), usedBytes: container.logBytes },
          })),
          cpu: cpuStats(time, total.usage, total.cpuRate),
          memory: memoryStats(time, total.usage),
          ...(each.traffic.length > 0 ? { network: networkStats(time, each.traffic) } : {}),
          ...(each.volumes.length > 0
            ? {
                volume: each.volumes.map(({ name, claim, ...usage }) => ({
                  ...fileSystemStats(time, usage),
                  name,
                  ...(claim ? { pvcRef: { name: claim, namespace: each.pod.metadata.namespace } } : {}),
                })),
              }
            : {}),
        };
      }),
  };
}

function podRef({ metadata }: Pod): object {
  return { name: metadata.name, namespace: metadata.namespace, uid: metadata.uid };
}

function cpuStats(time: string, usage: Usage, rate: number | undefined): object {
  return { time, ...(rate === undefined ? {} : { usageNanoCores: rate }), usageCoreNanoSeconds: usage.cpuNanos };
}

function memoryStats(time: string, usage: Usage): object {
  return {
    time,
    usageBytes: usage.memoryBytes,
    workingSetBytes: usage.workingSetBytes,
    rssBytes: usage.rssBytes,
    pageFaults: usage.pageFaults,
    majorPageFaults: usage.majorPageFaults,
  };
}

function networkStats(time: string, interfaces: Traffic[]): object {
  const [first] = interfaces;
  return { time, ...first, interfaces };
}

function fileSystemStats(time: string, usage: FileSystem): object {
  return { time, ...usage, inodesUsed: usage.inodes - usage.inodesFree };
}

function sum(containers: ContainerSample[]): { usage: Usage; cpuRate: number | undefined } {
  const usage: Usage = {
    cpuNanos: 0,
    memoryBytes: 0,
    workingSetBytes: 0,
    rssBytes: 0,
    pageFaults: 0,
    majorPageFaults: 0,
  };
  let cpuRate: number | undefined;
  for (const container of containers) {
    for (const key of Object.keys(usage) as (keyof Usage)[]) usage[key] += container.usage[key];
    if (container.cpuRate !== undefined) cpuRate = (cpuRate ?? 0) + container.cpuRate;
  }
  return { usage, cpuRate };
}

type Labels = Record<string, string | undefined>;

/** Prometheus' text format, one family at a time. */
class Families {
  readonly #lines: string[] = [];

  add(name: string, type: "counter" | "gauge", help: string, series: [Labels, number, number?][]): void {
    if (series.length === 0) return;
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value, at] of series) {
      const text = Object.entries(labels)
        .map(
          ([key, label]) =>
            `${key}="${(label ?? "").replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
        )
        .join(",");
      this.#lines.push(`${name}${text ? `{${text}}` : ""} ${value}${at === undefined ? "" : ` ${at}`}`);
    }
  }

  text(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

type Reader = (container: ContainerSample) => number;

/** What metrics-server reads. */
export function resourceMetrics(sample: Sample): string {
  const { at } = sample;
  const families = new Families();
  const perContainer = (read: Reader, timed = true): [Labels, number, number?][] =>
    sample.pods.flatMap(({ pod, containers }) =>
      containers.map((container): [Labels, number, number?] => {
        const labels = { container: container.name, namespace: pod.metadata.namespace, pod: pod.metadata.name };
        return timed ? [labels, read(container), at] : [labels, read(container)];
      }),
    );
  const perPod = (read: Reader): [Labels, number, number?][] =>
    sample.pods
      .filter(({ containers }) => containers.length > 0)
      .map(({ pod, containers }) => [
        { namespace: pod.metadata.namespace, pod: pod.metadata.name },
        containers.reduce((total, container) => total + read(container), 0),
        at,
      ]);
  const cpu: Reader = ({ usage }) => usage.cpuNanos / 1e9;
  const memory: Reader = ({ usage }) => usage.workingSetBytes;
  families.add(
    "container_cpu_usage_seconds_total",
    "counter",
    "CPU time of the container in core-seconds",
    perContainer(cpu),
  );
  families.add(
    "container_memory_working_set_bytes",
    "gauge",
    "Working set of the container in bytes",
    perContainer(memory),
  );
  families.add(
    "container_start_time_seconds",
    "gauge",
    "Start of the container in seconds since the epoch",
    perContainer(({ startedAt }) => startedAt / 1000, false),
  );
  families.add("node_cpu_usage_seconds_total", "counter", "CPU time of the node in core-seconds", [
    [{}, sample.node.cpuNanos / 1e9, at],
  ]);
  families.add("node_memory_working_set_bytes", "gauge", "Working set of the node in bytes", [
    [{}, sample.node.workingSetBytes, at],
  ]);
  families.add("pod_cpu_usage_seconds_total", "counter", "CPU time of the Pod in core-seconds", perPod(cpu));
  families.add("pod_memory_working_set_bytes", "gauge", "Working set of the Pod in bytes", perPod(memory));
  families.add("resource_scrape_error", "gauge", "1 if there was an error while getting the metrics, 0 otherwise", [
    [{}, 0],
  ]);
  return families.text();
}

/** The part of cAdvisor's families that dashboards are built on. */
export function cadvisorMetrics(sample: Sample): string {
  const families = new Families();
  const labels = (pod: Pod, container?: ContainerSample): Labels => ({
    container: container?.name ?? "",
    id: container ? `/kubepods/pod${pod.metadata.uid}/${container.id}` : `/kubepods/pod${pod.metadata.uid}`,
    image: container?.image ?? "",
    name: container?.id ?? "",
    namespace: pod.metadata.namespace,
    pod: pod.metadata.name,
  });
  const each = (read: Reader): [Labels, number, number?][] =>
    sample.pods.flatMap(({ pod, containers }) =>
      containers.map((container): [Labels, number, number?] => [labels(pod, container), read(container), sample.at]),
    );
  const traffic = (read: (one: Traffic) => number): [Labels, number, number?][] =>
    sample.pods.flatMap(({ pod, traffic: interfaces }: PodSample) =>
      interfaces.map((one): [Labels, number, number?] => [
        { ...labels(pod), interface: one.name },
        read(one),
        sample.at,
      ]),
    );
  families.add(
    "container_cpu_usage_seconds_total",
    "counter",
    "CPU time used in seconds",
    each(({ usage }) => usage.cpuNanos / 1e9),
  );
  families.add(
    "container_memory_usage_bytes",
    "gauge",
    "Memory in use, page cache included",
    each(({ usage }) => usage.memoryBytes),
  );
  families.add(
    "container_memory_working_set_bytes",
    "gauge",
    "Working set in bytes",
    each(({ usage }) => usage.workingSetBytes),
  );
  families.add(
    "container_memory_rss",
    "gauge",
    "Anonymous memory in bytes",
    each(({ usage }) => usage.rssBytes),
  );
  families.add(
    "container_network_receive_bytes_total",
    "counter",
    "Bytes received",
    traffic(({ rxBytes }) => rxBytes),
  );
  families.add(
    "container_network_transmit_bytes_total",
    "counter",
    "Bytes sent",
    traffic(({ txBytes }) => txBytes),
  );
  families.add("machine_memory_bytes", "gauge", "Memory of the machine", [
    [{}, sample.node.workingSetBytes + sample.node.availableBytes],
  ]);
  return families.text();
}
