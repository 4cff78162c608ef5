/** Pods and what their containers may and see: users, capabilities, namespaces, limits, environment, names. */
import assert from "node:assert/strict";
import { isReady, once, sh, status, until } from "./case.ts";
import type { PodCase } from "./case.ts";

const SHOW_CAPABILITIES = "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status";

export const SECURITY: PodCase[] = [
  {
    name: "users",
    spec: once(
      "id -u; id -g; id -G; stat -c %g /data; touch /data/mine; stat -c %g /data/mine",
      { volumeMounts: [{ name: "data", mountPath: "/data" }] },
      {
        securityContext: { runAsUser: 1234, runAsGroup: 2345, fsGroup: 3456, supplementalGroups: [4567] },
        volumes: [{ name: "data", emptyDir: {} }],
      },
    ),
    async check({ logs }) {
      const [uid, gid, groups, volume, file] = (await logs()).trim().split("\n");
      assert.deepEqual([uid, gid, volume, file], ["1234", "2345", "3456", "3456"]);
      assert.deepEqual(groups?.split(" ").toSorted(), ["2345", "3456", "4567"]);
    },
  },
  {
    name: "capabilities",
    extra: true,
    spec: {
      restartPolicy: "Never",
      containers: [
        sh(SHOW_CAPABILITIES, {
          securityContext: {
            capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] },
            allowPrivilegeEscalation: false,
            seccompProfile: { type: "RuntimeDefault" },
          },
        }),
        sh(`${SHOW_CAPABILITIES}; mount -t tmpfs none /tmp && echo mounted`, {
          name: "privileged",
          securityContext: { privileged: true },
        }),
        sh("touch /file; touch /tmp/file; echo done", {
          name: "readonly",
          securityContext: { readOnlyRootFilesystem: true },
        }),
      ],
    },
    async check({ logs }) {
      assert.match(await logs("main"), /CapEff:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2/);
      assert.match(await logs("privileged"), /CapEff:\t0*1[f]+\nNoNewPrivs:\t0\nSeccomp:\t0\nmounted/);
      assert.match(await logs("readonly"), /Read-only file system/);
    },
  },
  {
    name: "non-root",
    extra: true,
    spec: once("true", { securityContext: { runAsNonRoot: true } }),
    settled: (pod) => status(pod).state?.waiting?.reason === "CreateContainerConfigError",
    check({ pod }) {
      assert.match(status(pod).state?.waiting?.message ?? "", /container has runAsNonRoot and image will run as root/);
    },
  },
  {
    name: "named",
    spec: once(
      "hostname; hostname -f; cat /etc/hosts /etc/resolv.conf; echo $HOSTNAME",
      {},
      {
        hostname: "boat",
        subdomain: "harbour",
        hostAliases: [{ ip: "192.0.2.7", hostnames: ["far.example"] }],
        dnsPolicy: "None",
        dnsConfig: {
          nameservers: ["192.0.2.53"],
          searches: ["example.org"],
          options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
        },
      },
    ),
    async check({ logs, pod }) {
      const text = await logs();
      assert.match(text, /^boat\nboat\.harbour\.[a-z0-9-]+\.svc\.cluster\.local\n/);
      assert.ok(text.includes("192.0.2.7\tfar.example\n"));
      assert.ok(text.includes("nameserver 192.0.2.53\nsearch example.org\noptions ndots:2 edns0\n"));
      assert.ok(text.includes(`${pod.status?.podIP}\tboat.harbour.`));
      assert.ok(text.endsWith("boat\n"));
    },
  },
  {
    name: "on-the-host",
    extra: true,
    spec: once(
      "hostname; ps | grep -c dockerd; ip -o -4 addr show eth1; echo $HOSTNAME",
      {},
      {
        hostNetwork: true,
        hostPID: true,
        hostIPC: true,
      },
    ),
    async check({ logs, pod }) {
      const node = pod.spec?.nodeName ?? "";
      const text = await logs();
      assert.ok(text.startsWith(`${node}\n`), text);
      assert.ok(text.includes(pod.status?.hostIP ?? "?"), text);
      assert.ok(text.endsWith(`${node}\n`), text);
      assert.equal(pod.status?.podIP, pod.status?.hostIP);
    },
  },
  {
    name: "shared-processes",
    spec: {
      shareProcessNamespace: true,
      securityContext: { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "77" }] },
      terminationGracePeriodSeconds: 1,
      containers: [sh("sleep 601"), sh("sleep 602", { name: "other" })],
    },
    settled: isReady,
    async check({ kubectl }) {
      const seen = await kubectl(
        "exec",
        "shared-processes",
        "-c",
        "other",
        "--",
        "sh",
        "-c",
        "ps; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
      );
      assert.match(seen.stdout, /1 .*pause[\s\S]*sleep 60[\s\S]*sleep 60[\s\S]*\n77\n/);
      const missing = await kubectl("exec", "shared-processes", "-c", "main", "--", "nosuchprogram");
      assert.equal(missing.code, 1);
      assert.match(
        missing.stderr,
        /error executing command in container: failed to exec in container: .*nosuchprogram/,
      );
      const code = await kubectl("exec", "shared-processes", "-c", "main", "--", "sh", "-c", "exit 7");
      assert.equal(code.code, 7);
    },
  },
  {
    name: "limits",
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("sleep 600", {
          resources: { requests: { cpu: "100m", memory: "32Mi" }, limits: { cpu: "250m", memory: "64Mi" } },
        }),
      ],
    },
    settled: isReady,
    async check({ pod, kubectl, becomes }) {
      assert.equal(pod.status?.qosClass, "Burstable");
      const read = (): Promise<{ stdout: string }> =>
        kubectl("exec", "limits", "--", "sh", "-c", "cd /sys/fs/cgroup; cat memory.max cpu.max cpu.weight");
      assert.equal((await read()).stdout, "67108864\n25000 100000\n4\n");
      const resize = {
        spec: { containers: [{ name: "main", resources: { limits: { cpu: "500m", memory: "96Mi" } } }] },
      };
      const resized = await kubectl("patch", "pod", "limits", "--subresource=resize", "-p", JSON.stringify(resize));
      assert.equal(resized.code, 0, resized.stderr);
      await until(
        "resized",
        async () => (await read()).stdout,
        (text) => text === "100663296\n50000 100000\n4\n",
      );
      assert.equal(status(await becomes("ready", isReady)).restartCount, 0);
    },
  },
  {
    name: "environment",
    with: [
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { COLOUR: "blue", "a.file": "x" } },
      { apiVersion: "v1", kind: "Secret", metadata: { name: "hidden" }, stringData: { KEY: "s3cret" } },
    ],
    metadata: { labels: { app: "env" }, annotations: { note: "hello" } },
    spec: once("env | sort; echo $0 $1", {
      command: ["sh", "-c", "env | sort; echo $0 $1", "$(GREETING)", "$$(GREETING)"],
      envFrom: [{ prefix: "P_", configMapRef: { name: "settings" } }, { secretRef: { name: "hidden" } }],
      env: [
        { name: "GREETING", value: "hi $(KEY) $(UNKNOWN)" },
        { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        { name: "LABEL", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "1m" } } },
        { name: "MEMORY", valueFrom: { resourceFieldRef: { resource: "requests.memory", divisor: "1Mi" } } },
        { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "settings", key: "COLOUR" } } },
        { name: "MAYBE", valueFrom: { secretKeyRef: { name: "none", key: "x", optional: true } } },
      ],
      resources: { limits: { cpu: "300m" }, requests: { memory: "10Mi" } },
    }),
    async check({ logs, pod }) {
      const text = await logs();
      for (const line of [
        "COLOUR=blue",
        "CPU=300",
        "GREETING=hi s3cret $(UNKNOWN)",
        `IP=${pod.status?.podIP}`,
        "KEY=s3cret",
        "KUBERNETES_SERVICE_HOST=10.96.0.1",
        "LABEL=env",
        "MEMORY=10",
        "NAME=environment",
        "P_COLOUR=blue",
        "hi s3cret $(UNKNOWN) $(GREETING)",
      ])
        assert.ok(text.split("\n").includes(line), `${line} is not in\n${text}`);
      assert.ok(!text.includes("MAYBE"));
    },
  },
  {
    name: "missing-config",
    extra: true,
    spec: once("true", { env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "none", key: "a" } } }] }),
    settled: (pod) => status(pod).state?.waiting?.reason === "CreateContainerConfigError",
    check({ pod }) {
      assert.equal(status(pod).state?.waiting?.message, 'configmap "none" not found');
    },
  },
];
