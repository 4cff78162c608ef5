/** Pods and what must become of them: order, restarts, probes, hooks, endings. */
import assert from "node:assert/strict";
import { condition, IMAGE, isReady, once, PATIENT, sh, status, until, waitingFor } from "./case.ts";
import type { PodCase } from "./case.ts";

const shared = { volumes: [{ name: "shared", emptyDir: {} }] };
const mount = { volumeMounts: [{ name: "shared", mountPath: "/shared" }] };

export const LIFECYCLE: PodCase[] = [
  {
    name: "init-order",
    spec: once(
      "cat /shared/log",
      { ...mount },
      {
        ...shared,
        initContainers: [
          sh("echo one >> /shared/log", { name: "first", ...mount }),
          sh("echo sidecar >> /shared/log; trap 'exit 0' TERM; while :; do sleep 1; done", {
            name: "side",
            restartPolicy: "Always",
            startupProbe: {
              exec: { command: ["test", "-s", "/shared/log"] },
              periodSeconds: 1,
              failureThreshold: 90,
              ...PATIENT,
            },
            ...mount,
          }),
          sh("echo two >> /shared/log", { name: "second", ...mount }),
        ],
      },
    ),
    async check({ pod, logs }) {
      assert.equal(await logs("main"), "one\nsidecar\ntwo\n");
      assert.equal(pod.status?.phase, "Succeeded");
      assert.equal(status(pod, "first").state?.terminated?.reason, "Completed");
      assert.equal(status(pod, "first").ready, true);
      assert.equal(condition(pod, "Ready")?.reason, "PodCompleted");
      assert.equal(condition(pod, "Initialized")?.status, "True");
    },
  },
  {
    name: "init-fails",
    extra: true,
    spec: once("true", {}, { initContainers: [sh("echo no; exit 3", { name: "first" })] }),
    check({ pod }) {
      assert.equal(pod.status?.phase, "Failed");
      assert.equal(status(pod, "first").state?.terminated?.exitCode, 3);
      assert.equal(status(pod).state?.waiting?.reason, "PodInitializing");
      assert.equal(condition(pod, "Initialized")?.reason, "ContainersNotInitialized");
    },
  },
  {
    name: "init-again",
    extra: true,
    spec: {
      ...once("true", {}, { initContainers: [sh("exit 3", { name: "first" })] }),
      restartPolicy: "OnFailure",
    },
    settled: waitingFor("CrashLoopBackOff", "first"),
    check({ pod }) {
      assert.equal(pod.status?.phase, "Pending");
      assert.equal(status(pod, "first").lastState?.terminated?.exitCode, 3);
    },
  },
  {
    name: "crash-loop",
    spec: { ...once("echo attempt; exit 2"), restartPolicy: "Always" },
    settled: waitingFor("CrashLoopBackOff"),
    async check({ pod, told, logs }) {
      assert.equal(pod.status?.phase, "Running");
      assert.match(
        status(pod).state?.waiting?.message ?? "",
        /^back-off \d+s restarting failed container=main pod=crash-loop_.*\(.*\)$/,
      );
      assert.equal(status(pod).lastState?.terminated?.exitCode, 2);
      assert.equal(condition(pod, "ContainersReady")?.reason, "ContainersNotReady");
      assert.equal(await logs("main", true), "attempt\n");
      await told(/^BackOff: Back-off restarting failed container main in pod crash-loop_/);
    },
  },
  {
    name: "on-failure",
    extra: true,
    spec: {
      ...once("test -f /shared/done && exit 0; touch /shared/done; exit 1", mount, shared),
      restartPolicy: "OnFailure",
    },
    check({ pod }) {
      assert.equal(pod.status?.phase, "Succeeded");
      assert.equal(status(pod).restartCount, 1);
      assert.equal(status(pod).lastState?.terminated?.exitCode, 1);
    },
  },
  {
    name: "restart-rules",
    spec: once(
      "[ -e /shared/ended ] && exit 3; touch /shared/ended; exit 42",
      {
        ...mount,
        restartPolicy: "Never",
        restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }],
      },
      shared,
    ),
    check({ pod }) {
      assert.equal(pod.status?.phase, "Failed");
      assert.equal(status(pod).restartCount, 1);
      assert.equal(status(pod).state?.terminated?.exitCode, 3);
    },
  },
  {
    name: "restart-all",
    spec: once(
      "cat /shared/log; [ $(grep -c init /shared/log) = 2 ] || exit 42; sleep 600",
      {
        ...mount,
        restartPolicy: "Never",
        restartPolicyRules: [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [42] } }],
      },
      {
        ...shared,
        initContainers: [sh("echo init >> /shared/log", { name: "first", ...mount })],
      },
    ),
    settled: (pod) => status(pod).state?.running !== undefined && status(pod).restartCount === 1,
    async check({ pod, logs }) {
      assert.equal(pod.status?.phase, "Running");
      assert.equal(status(pod).lastState?.terminated?.exitCode, 42);
      assert.equal(status(pod, "first").restartCount, 1);
      assert.equal(condition(pod, "AllContainersRestarting")?.status, "False");
      assert.equal(await logs(), "init\ninit\n");
    },
  },
  {
    name: "liveness-exec",
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("sleep 600", {
          livenessProbe: { exec: { command: ["false"] }, periodSeconds: 1, failureThreshold: 2, ...PATIENT },
        }),
      ],
    },
    settled: (pod) => status(pod).restartCount > 0 && status(pod).state?.running !== undefined,
    async check({ pod, told }) {
      assert.equal(status(pod).lastState?.terminated?.exitCode, 137);
      await told(/^Unhealthy: Liveness probe failed:/);
      await told(/^Killing: Container main failed liveness probe, will be restarted$/);
    },
  },
  {
    name: "probes-http",
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: "main",
          image: "drydock.local/nginx:1",
          ports: [{ name: "web", containerPort: 80 }],
          startupProbe: { tcpSocket: { port: "web" }, periodSeconds: 1, failureThreshold: 90, ...PATIENT },
          readinessProbe: { httpGet: { port: "web", path: "/" }, periodSeconds: 1, successThreshold: 2, ...PATIENT },
          livenessProbe: { httpGet: { port: 80 }, periodSeconds: 2, ...PATIENT },
        },
      ],
    },
    settled: isReady,
    check({ pod }) {
      assert.equal(status(pod).started, true);
      assert.equal(status(pod).restartCount, 0);
      assert.equal(condition(pod, "Ready")?.reason, undefined);
      assert.equal(condition(pod, "Ready")?.message, undefined);
    },
  },
  {
    name: "ready-and-not",
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("sleep 600", {
          readinessProbe: {
            exec: { command: ["test", "!", "-e", "/tmp/busy"] },
            periodSeconds: 1,
            failureThreshold: 2,
            ...PATIENT,
          },
        }),
        {
          name: "web",
          image: "drydock.local/nginx:1",
          readinessProbe: { httpGet: { port: 80, path: "/index.html" }, periodSeconds: 1, ...PATIENT },
        },
      ],
    },
    settled: isReady,
    async check({ kubectl, becomes }) {
      const page = "/usr/share/nginx/html/index.html";
      // What makes a container not ready, and ready again.
      for (const [container, away, back] of [
        ["main", "touch /tmp/busy", "rm /tmp/busy"],
        ["web", `mv ${page} /tmp/page`, `mv /tmp/page ${page}`],
        ["main", "touch /tmp/busy", "rm /tmp/busy"],
      ] as const) {
        for (const [script, ready] of [
          [away, "False"],
          [back, "True"],
        ] as const) {
          const did = await kubectl("exec", "ready-and-not", "-c", container, "--", "sh", "-c", script);
          assert.equal(did.code, 0, did.stderr);
          const what = `ready: ${ready}, after ${script} in ${container}`;
          await becomes(what, (now) => condition(now, "Ready")?.status === ready);
        }
      }
      const after = await becomes("ready", isReady);
      assert.equal(status(after).restartCount + status(after, "web").restartCount, 0);
      assert.equal(condition(after, "ContainersReady")?.status, "True");
    },
  },
  {
    name: "never-ready",
    extra: true,
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("sleep 600", { readinessProbe: { httpGet: { port: 81, path: "/" }, periodSeconds: 1 } }),
        sh("sleep 600", { name: "tcp", readinessProbe: { tcpSocket: { port: 82 }, periodSeconds: 1 } }),
        sh("sleep 600", { name: "grpc", readinessProbe: { grpc: { port: 83 }, periodSeconds: 1 } }),
      ],
    },
    settled: (pod) =>
      status(pod, "grpc").state?.running !== undefined &&
      Date.now() - Date.parse(status(pod, "grpc").state?.running?.startedAt as string) > 8000,
    async check({ pod, told }) {
      const failed = "^Unhealthy: Readiness probe failed: ";
      await told(
        new RegExp(`${failed}Get "http://10\\.244\\.[\\d.]+:81/": dial tcp .*:81: connect: connection refused`),
      );
      await told(new RegExp(`${failed}dial tcp .*:82: connect: connection refused`));
      await told(new RegExp(`${failed}.*83`));
      assert.equal(condition(pod, "Ready")?.message, "containers with unready status: [main tcp grpc]");
    },
  },
  {
    name: "startup-fails",
    extra: true,
    spec: {
      ...once("sleep 600", {
        startupProbe: {
          exec: { command: ["sh", "-c", "echo not yet; exit 1"] },
          periodSeconds: 1,
          failureThreshold: 2,
          ...PATIENT,
        },
        livenessProbe: { exec: { command: ["true"] } },
      }),
    },
    async check({ pod, told }) {
      assert.equal(pod.status?.phase, "Failed");
      await told(/^Unhealthy: Startup probe failed: not yet\n$/);
    },
  },
  {
    name: "hooks",
    extra: true,
    spec: {
      ...once("while [ ! -s /shared/log ]; do sleep 1; done; cat /shared/log", {
        ...mount,
        lifecycle: {
          postStart: { exec: { command: ["sh", "-c", "echo started > /shared/log"] } },
          preStop: { sleep: { seconds: 1 } },
        },
      }),
      ...shared,
    },
    async check({ logs }) {
      assert.equal(await logs(), "started\n");
    },
  },
  {
    name: "hook-fails",
    extra: true,
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [sh("sleep 600", { lifecycle: { postStart: { exec: { command: ["false"] } } } })],
    },
    settled: (pod) => status(pod).restartCount > 0 || waitingFor("CrashLoopBackOff")(pod),
    async check({ told }) {
      await told(/^FailedPostStartHook:/);
    },
  },
  {
    name: "message-file",
    extra: true,
    spec: once("printf 'the end' > /tmp/why; exit 4", { terminationMessagePath: "/tmp/why" }),
    check({ pod }) {
      assert.equal(status(pod).state?.terminated?.message, "the end");
      assert.equal(status(pod).state?.terminated?.exitCode, 4);
      assert.equal(status(pod).state?.terminated?.reason, "Error");
    },
  },
  {
    name: "message-logs",
    extra: true,
    spec: once("echo from the log; exit 4", { terminationMessagePolicy: "FallbackToLogsOnError" }),
    check({ pod }) {
      assert.equal(status(pod).state?.terminated?.message, "from the log\n");
    },
  },
  {
    name: "gates",
    extra: true,
    spec: { ...once("sleep 600"), readinessGates: [{ conditionType: "example.com/open" }] },
    settled: (pod) => condition(pod, "ContainersReady")?.status === "True",
    async check({ pod, kubectl }) {
      assert.equal(condition(pod, "Ready")?.reason, "ReadinessGatesNotReady");
      assert.equal(
        condition(pod, "Ready")?.message,
        'corresponding condition of pod readiness gate "example.com/open" does not exist.',
      );
      const patch = { status: { conditions: [{ type: "example.com/open", status: "True" }] } };
      await kubectl("patch", "pod", "gates", "--subresource=status", "-p", JSON.stringify(patch));
      const waited = await kubectl("wait", "--for=condition=Ready", "pod/gates", "--timeout=60s");
      assert.equal(waited.code, 0, waited.stderr);
    },
  },
  {
    name: "deadline",
    extra: true,
    spec: { ...once("sleep 600"), activeDeadlineSeconds: 6 },
    async check({ pod, told }) {
      assert.equal(pod.status?.reason, "DeadlineExceeded");
      assert.equal(pod.status?.phase, "Failed");
      await told(/^DeadlineExceeded:/);
    },
  },
  {
    name: "debugged",
    spec: once("sleep 600", {}, {}),
    settled: isReady,
    async check({ kubectl }) {
      const debug = await kubectl(
        "debug",
        "debugged",
        `--image=${IMAGE}`,
        "--target=main",
        "--container=probe",
        "--",
        "sh",
        "-c",
        "ps; hostname",
      );
      assert.equal(debug.code, 0, debug.stderr);
      await until(
        "the ephemeral container's words of its target",
        async () => (await kubectl("logs", "debugged", "-c", "probe")).stdout,
        (text) => text.includes("debugged") && text.includes("sleep 600"),
      );
    },
  },
  {
    name: "missing-program",
    spec: once("", { command: ["/no/such/program"] }),
    check({ pod }) {
      const end = status(pod).state?.terminated;
      assert.equal(end?.reason, "StartError");
      assert.equal(end?.exitCode, 128);
      assert.match(end?.message ?? "", /no such file or directory/i);
    },
  },
  {
    name: "oom",
    extra: true,
    spec: once("tail /dev/zero", { resources: { limits: { memory: "16Mi" } } }),
    check({ pod }) {
      assert.equal(status(pod).state?.terminated?.reason, "OOMKilled");
      assert.equal(status(pod).state?.terminated?.exitCode, 137);
    },
  },
  {
    name: "ignores-term",
    extra: true,
    spec: { terminationGracePeriodSeconds: 2, containers: [sh("trap '' TERM; while :; do sleep 1; done")] },
    settled: isReady,
    async check({ kubectl }) {
      const deleted = await kubectl("delete", "pod", "ignores-term", "--timeout=60s");
      assert.equal(deleted.code, 0, deleted.stderr);
    },
  },
  {
    name: "pull-fails",
    extra: true,
    spec: once("", { image: "registry.invalid/nothing:1" }),
    settled: waitingFor("ImagePullBackOff"),
    async check({ pod, told }) {
      assert.match(
        status(pod).state?.waiting?.message ?? "",
        /^Back-off pulling image "registry.invalid\/nothing:1": ErrImagePull: /,
      );
      await told(/^Pulling: Pulling image "registry\.invalid\/nothing:1"$/);
      await told(/^Failed: Failed to pull image "registry\.invalid\/nothing:1": /);
      await told(/^Failed: Error: ErrImagePull$/);
    },
  },
  {
    name: "pull-never",
    extra: true,
    spec: once("", { image: "drydock.local/nothing:1", imagePullPolicy: "Never" }),
    settled: waitingFor("ErrImageNeverPull"),
    check({ pod }) {
      assert.equal(
        status(pod).state?.waiting?.message,
        'Container image "drydock.local/nothing:1" is not present with pull policy of Never',
      );
    },
  },
  {
    name: "bad-image",
    extra: true,
    spec: once("", { image: "Not A Name" }),
    settled: waitingFor("InvalidImageName"),
    check({ pod }) {
      assert.match(status(pod).state?.waiting?.message ?? "", /invalid reference format/);
    },
  },
];
