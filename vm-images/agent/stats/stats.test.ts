import { expect, it } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import { machineUsage, parseTraffic, usageOf } from "./cgroup.ts";
import type { Sample } from "./collect.ts";
import { cadvisorMetrics, resourceMetrics, summary } from "./summary.ts";

const NETWORK = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    4711      12    1    0    0     0          0         0      815       9    2    0    0     0       0          0
`;

it("reads what the kernel counts", () => {
  expect(
    usageOf("usage_usec 1500\nuser_usec 1000\n", "4096000\n", "anon 1000\ninactive_file 96000\npgfault 7\n"),
  ).toEqual({
    cpuNanos: 1_500_000,
    memoryBytes: 4_096_000,
    workingSetBytes: 4_000_000,
    rssBytes: 1000,
    pageFaults: 7,
    majorPageFaults: 0,
  });
  expect(parseTraffic(NETWORK)).toEqual([{ name: "eth0", rxBytes: 4711, rxErrors: 1, txBytes: 815, txErrors: 2 }]);
  const machine = machineUsage("usage_usec 9\n", "MemTotal: 1000 kB\nMemFree: 300 kB\nInactive(file): 200 kB\n");
  expect(machine).toMatchObject({ memoryBytes: 716_800, workingSetBytes: 512_000, availableBytes: 512_000 });
});

const usage = {
  cpuNanos: 2e9,
  memoryBytes: 3000,
  workingSetBytes: 2000,
  rssBytes: 1000,
  pageFaults: 1,
  majorPageFaults: 0,
};
const disk = { capacityBytes: 100, availableBytes: 60, usedBytes: 40, inodes: 10, inodesFree: 4 };
const sample: Sample = {
  at: Date.parse("2026-05-01T10:00:00Z"),
  node: { ...usage, availableBytes: 5000 },
  nodeCpuRate: 7,
  nodeTraffic: [],
  disk,
  pods: [
    {
      pod: { metadata: { name: "p", namespace: 'n"x', uid: "u" } } as unknown as Pod,
      containers: ["a", "b"].map((name) => ({
        name,
        id: `id-${name}`,
        image: "i",
        startedAt: 0,
        usage,
        cpuRate: 5,
        logBytes: 3,
        layerBytes: 0,
      })),
      traffic: [{ name: "eth0", rxBytes: 1, rxErrors: 0, txBytes: 2, txErrors: 0 }],
      volumes: [{ name: "v", claim: "c", ...disk }],
    },
    { pod: { metadata: { name: "ended" } } as unknown as Pod, containers: [], traffic: [], volumes: [] },
  ],
};

it("sums a Pod up from its containers", () => {
  const { node, pods } = summary(sample, "w", 0) as { node: object; pods: object[] };
  expect(node).toMatchObject({ nodeName: "w", cpu: { usageNanoCores: 7 }, memory: { availableBytes: 5000 } });
  expect(pods).toHaveLength(1);
  expect(pods[0]).toMatchObject({
    podRef: { name: "p", uid: "u" },
    cpu: { usageNanoCores: 10, usageCoreNanoSeconds: 4e9 },
    memory: { workingSetBytes: 4000 },
    network: { name: "eth0", rxBytes: 1 },
    volume: [{ name: "v", usedBytes: 40, inodesUsed: 6, pvcRef: { name: "c" } }],
  });
});

it("writes Prometheus' text, every family announced once", () => {
  const text = resourceMetrics(sample);
  expect(text).toContain(
    'container_cpu_usage_seconds_total{container="a",namespace="n\\"x",pod="p"} 2 1777629600000\n',
  );
  expect(text).toContain('pod_memory_working_set_bytes{namespace="n\\"x",pod="p"} 4000 1777629600000\n');
  expect(text.match(/# TYPE container_cpu_usage_seconds_total counter/g)).toHaveLength(1);
  expect(text).not.toContain("ended");
  expect(cadvisorMetrics(sample)).toContain('interface="eth0"} 2 ');
});
