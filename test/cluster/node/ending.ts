/** Pods that probes, hooks, limits and the node itself hold to something: when they are ready, and how they end. */
import assert from "node:assert/strict";
import { condition, isReady, once, PATIENT, sh, status, until } from "./case.ts";
import type { PodCase } from "./case.ts";
import { GRPC_HEALTH, javascript, nodeVolumes } from "./programs.ts";

const shared = { volumes: [{ name: "shared", emptyDir: {} }] };
const mount = { volumeMounts: [{ name: "shared", mountPath: "/shared" }] };
const TERM = "while :; do sleep 1; done";

export const ENDING: PodCase[] = [
  {
    name: "sidecars-end-last",
    spec: once(
      "sleep 2",
      {},
      {
        ...shared,
        terminationGracePeriodSeconds: 60,
        initContainers: [
          sh(`trap '[ -e /shared/second ] && echo after the second; exit 0' TERM; ${TERM}`, {
            name: "first",
            restartPolicy: "Always",
            ...mount,
          }),
          sh(`trap 'touch /shared/second; exit 0' TERM; ${TERM}`, {
            name: "second",
            restartPolicy: "Always",
            ...mount,
          }),
        ],
      },
    ),
    settled: (pod) => pod.status?.phase === "Succeeded" && status(pod, "first").state?.terminated !== undefined,
    async check({ logs, pod }) {
      assert.equal(await logs("first"), "after the second\n");
      assert.equal(status(pod, "first").state?.terminated?.exitCode, 0);
    },
  },
  {
    name: "probes-grpc",
    spec: {
      terminationGracePeriodSeconds: 1,
      volumes: nodeVolumes,
      containers: [
        javascript(GRPC_HEALTH, {
          startupProbe: { grpc: { port: 50051, service: "slow" }, periodSeconds: 1, failureThreshold: 600, ...PATIENT },
          readinessProbe: { grpc: { port: 50051 }, periodSeconds: 1, ...PATIENT },
          livenessProbe: { grpc: { port: 50051, service: "live" }, periodSeconds: 1, ...PATIENT },
        }),
        sh("sleep 600", {
          name: "down",
          readinessProbe: { grpc: { port: 50051, service: "down" }, periodSeconds: 1, ...PATIENT },
        }),
      ],
    },
    settled: (pod) => status(pod).state?.running !== undefined,
    async check({ told, kubectl, becomes }) {
      await told(/^Unhealthy: Startup probe failed: .*NOT_SERVING/);
      const before = await becomes("running", (pod) => status(pod).state?.running !== undefined);
      assert.equal(status(before).started, false);
      const served = await kubectl("exec", "probes-grpc", "-c", "main", "--", "touch", "/tmp/serves");
      assert.equal(served.code, 0, served.stderr);
      const after = await becomes("ready", (pod) => status(pod).ready);
      assert.equal(status(after).restartCount, 0);
      await told(/^Unhealthy: Readiness probe failed: .*NOT_SERVING/);
      assert.equal(status(after, "down").ready, false);
    },
  },
  {
    name: "probe-thresholds",
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("touch /tmp/ok; sleep 600", {
          readinessProbe: {
            exec: { command: ["sh", "-c", "echo >> /tmp/asked; test -e /tmp/ok"] },
            initialDelaySeconds: 2,
            periodSeconds: 1,
            successThreshold: 3,
            failureThreshold: 2,
            ...PATIENT,
          },
        }),
      ],
    },
    settled: isReady,
    async check({ pod, kubectl, becomes }) {
      const started = Date.parse(status(pod).state?.running?.startedAt as string);
      const ready = Date.parse(condition(pod, "Ready")?.lastTransitionTime as string);
      assert.ok(ready - started >= 3000, `ready ${ready - started} ms after its start: two questions, a second apart`);
      const removed = await kubectl("exec", "probe-thresholds", "--", "rm", "/tmp/ok");
      assert.equal(removed.code, 0, removed.stderr);
      const after = await becomes("not ready", (now) => condition(now, "Ready")?.status === "False");
      assert.equal(status(after).restartCount, 0);
      const touched = await kubectl("exec", "probe-thresholds", "--", "touch", "/tmp/ok");
      assert.equal(touched.code, 0, touched.stderr);
      await becomes("ready again", isReady);
    },
  },
  {
    name: "liveness-grace",
    spec: {
      terminationGracePeriodSeconds: 600,
      containers: [
        sh(`trap '' TERM; ${TERM}`, {
          livenessProbe: {
            exec: { command: ["false"] },
            periodSeconds: 1,
            failureThreshold: 1,
            ...PATIENT,
            terminationGracePeriodSeconds: 1,
          },
        }),
      ],
    },
    settled: (pod) => status(pod).restartCount > 0,
    async check({ pod, kubectl }) {
      assert.equal(status(pod).lastState?.terminated?.exitCode, 137);
      await kubectl("delete", "pod", "liveness-grace", "--grace-period=1", "--wait=false");
    },
  },
  {
    name: "hooks-http",
    extra: true,
    spec: {
      terminationGracePeriodSeconds: 30,
      initContainers: [
        {
          name: "web",
          image: "drydock.local/nginx:1",
          restartPolicy: "Always",
          startupProbe: { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 90, ...PATIENT },
          lifecycle: { preStop: { sleep: { seconds: 8 } } },
        },
      ],
      containers: [
        sh(`trap 'exit 0' TERM; ${TERM}`, {
          lifecycle: {
            postStart: { httpGet: { port: 80, path: "/?hello" } },
            preStop: { httpGet: { port: 80, path: "/?bye" } },
          },
        }),
      ],
    },
    settled: isReady,
    async check({ kubectl }) {
      await kubectl("delete", "pod", "hooks-http", "--wait=false");
      const log = await until(
        "both hooks",
        async () => (await kubectl("logs", "hooks-http", "-c", "web")).stdout,
        (text) => text.includes("GET /?bye"),
      );
      assert.match(log, /GET \/\?hello[\s\S]*GET \/\?bye/);
    },
  },
  {
    name: "message-long",
    extra: true,
    spec: once("head -c 9000 /dev/zero | tr '\\0' m > /dev/termination-log"),
    check({ pod }) {
      assert.equal(status(pod).state?.terminated?.message, "m".repeat(4096));
    },
  },
  {
    name: "out-of-cpu",
    spec: once("true", { resources: { requests: { cpu: "100" } } }),
    settled: (pod) => pod.status?.phase === "Failed",
    async check({ pod, told }) {
      assert.equal(pod.status?.reason, "OutOfcpu");
      const message =
        /^Pod was rejected: Node didn't have enough resource: cpu, requested: 100000, used: \d+, capacity: \d+$/;
      assert.match(pod.status?.message ?? "", message);
      // Else kubectl would say that its containers are being created.
      assert.equal(pod.status?.containerStatuses, undefined);
      await told(/^OutOfcpu: Node didn't have enough/);
    },
  },
  {
    name: "resize-limits",
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("sleep 600", {
          resources: { requests: { cpu: "50m" }, limits: { cpu: "100m", memory: "32Mi" } },
          resizePolicy: [{ resourceName: "memory", restartPolicy: "RestartContainer" }],
        }),
      ],
    },
    settled: isReady,
    async check({ kubectl, becomes }) {
      const resize = async (resources: object): Promise<void> => {
        const patch = { spec: { containers: [{ name: "main", resources }] } };
        const options = ["--subresource=resize", "-p", JSON.stringify(patch)];
        const patched = await kubectl("patch", "pod", "resize-limits", ...options);
        assert.equal(patched.code, 0, patched.stderr);
      };
      await resize({ requests: { cpu: "90" }, limits: { cpu: "100" } });
      const pending = "PodResizePending";
      const refused = await becomes("infeasible", (now) => condition(now, pending)?.reason === "Infeasible");
      assert.match(
        condition(refused, pending)?.message ?? "",
        /^Node didn't have enough capacity: cpu, requested: 90000, capacity: \d+$/,
      );
      const quota = await kubectl("exec", "resize-limits", "--", "cat", "/sys/fs/cgroup/cpu.max");
      assert.equal(quota.stdout, "10000 100000\n");
      await resize({ requests: { cpu: "50m" }, limits: { cpu: "200m", memory: "48Mi" } });
      await becomes("no longer pending", (now) => condition(now, pending) === undefined);
      await becomes("restarted for its memory", (now) => status(now).restartCount === 1);
    },
  },
  {
    name: "qualities",
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("sleep 600", {
          resources: { limits: { cpu: "50m", memory: "16Mi" }, requests: { cpu: "50m", memory: "16Mi" } },
        }),
      ],
    },
    settled: isReady,
    async check({ pod, kubectl }) {
      assert.equal(pod.status?.qosClass, "Guaranteed");
      const script = "cat /proc/1/oom_score_adj /sys/fs/cgroup/memory.oom.group";
      const seen = await kubectl("exec", "qualities", "--", "sh", "-c", script);
      assert.equal(seen.stdout, "-997\n1\n");
    },
  },
  {
    name: "dns-policies",
    extra: true,
    spec: {
      ...once("cat /etc/resolv.conf"),
      dnsPolicy: "Default",
      hostNetwork: true,
      initContainers: [sh("cat /etc/resolv.conf /etc/hosts", { name: "first" })],
    },
    async check({ logs }) {
      assert.equal(await logs("main"), "nameserver 10.0.2.3\n");
      assert.match(await logs("first"), /Kubernetes-managed hosts file \(host network\)/);
    },
  },
  {
    name: "host-names",
    extra: true,
    spec: {
      ...once("nslookup kubernetes.default.svc.cluster.local"),
      dnsPolicy: "ClusterFirstWithHostNet",
      hostNetwork: true,
    },
    async check({ logs }) {
      assert.match(await logs(), /10\.96\.0\.1/);
    },
  },
];
