/**
 * Faults on a real node, on purpose: Pods that take what they can get, Docker and the agent killed, the network cut, slow and
 * lossy, the API server away, the clock moved. The node degrades as Kubernetes says and recovers by itself; its neighbours do not
 * notice; and what is left on it afterwards is what was there before.
 * Only with DRYDOCK_RUNS=all: the agent is killed 50 times (or DRYDOCK_KILLS), and the API server is away for ten minutes;
 * DRYDOCK_SEED repeats a run.
 */
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Pod } from "../../common/kube/types.ts";
import { randomOf } from "../../main/control-plane/testing/random.ts";
import { GUEST, LYING, MALFORMED, PULL_SECRET } from "./faults/pods.ts";
import type { BadPod } from "./faults/pods.ts";
import { remains } from "./faults/remains.ts";
import { sh } from "./node/case.ts";
import { javascript, nodeVolumes, REGISTRY } from "./node/programs.ts";
import { eventually } from "./support.ts";
import { openLab } from "./tools/lab.ts";
import type { Lab } from "./tools/lab.ts";

const EVERYTHING = process.env["DRYDOCK_RUNS"] === "all";
const KILLS = Number(process.env["DRYDOCK_KILLS"] ?? 50);
const AWAY_MILLIS = 600_000;
const SEED = Number(process.env["DRYDOCK_SEED"] ?? randomInt(1_000_000));
const NODE = "faults-worker-1";

let lab: Lab;
let before: string[];
let neighbours: string;

const pod = (name: string, spec: object, node = NODE): string =>
  JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec: { nodeName: node, ...spec } });
const get = async (name: string): Promise<Pod> => JSON.parse(await lab.ok(["get", "pod", name, "-o", "json"])) as Pod;
const field = (name: string, path: string): Promise<string> => lab.ok(["get", name, "-o", `jsonpath={${path}}`]);
const isNodeReady = (): Promise<string> => field(`node/${NODE}`, ".status.conditions[?(@.type=='Ready')].status");
const inside = async (name: string, script: string): Promise<string> =>
  (await lab.kubectl(["exec", name, "--", "sh", "-c", script])).stdout;

/** Containers of the neighbours, and how often they were started: must stay as it is. */
async function lookAtNeighbours(): Promise<string> {
  const path =
    "{range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount} {.status.conditions[?(@.type=='Ready')].status}{'\\n'}{end}";
  return lab.ok(["get", "pods", "-l", "neighbour", "-o", `jsonpath=${path}`]);
}

beforeAll(async () => {
  console.log(`seed ${SEED}`);
  lab = await openLab("faults", "--workers", "1");
  for (const [name, node] of [
    ["near", NODE],
    ["far", "faults-master-1"],
  ] as const) {
    const web = { name: "main", image: "drydock.local/nginx:1" };
    const probe = { httpGet: { port: 80 }, periodSeconds: 5, timeoutSeconds: 10, failureThreshold: 6 };
    const spec = {
      nodeName: node,
      containers: [{ ...web, readinessProbe: probe, resources: { requests: { memory: "32Mi" } } }],
    };
    const metadata = { name, labels: { neighbour: name } };
    await lab.ok(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata, spec }));
  }
  await lab.ok(["wait", "--for=condition=Ready", "pod", "--all", "--timeout=240s"]);
  neighbours = await lookAtNeighbours();
  before = await remains(lab, "worker-1");
}, 900_000);
/** What a test that failed has left must not fail the next. */
afterEach(async () => {
  await lab.kubectl(["delete", "pods", "-l", "!neighbour", "--grace-period=1", "--timeout=120s"]);
});
afterAll(() => lab?.dispose());

/** The end of each test: the node is Ready, nobody noticed, and nothing is left; answers with what is. */
async function isLeft(...names: string[]): Promise<string[]> {
  if (names.length > 0) await lab.ok(["delete", "pod", ...names, "--grace-period=1", "--timeout=240s"]);
  await eventually("the node is Ready", isNodeReady, (ready) => ready === "True", 240_000);
  await eventually("the neighbours are as they were", lookAtNeighbours, (text) => text === neighbours, 120_000);
  const { more, less } = await eventually(
    "nothing is left",
    async () => {
      const after = await remains(lab, "worker-1");
      return {
        more: after.filter((one) => !before.includes(one)),
        less: before.filter((one) => !after.includes(one)),
      };
    },
    (found) => found.more.length + found.less.length === 0,
    240_000,
  );
  return [...more, ...less];
}

/** What the API says of a Pod: its status and its events. */
async function said(name: string): Promise<string> {
  const events = await lab.ok(["get", "events", `--field-selector=involvedObject.name=${name}`, "-o", "json"]);
  const { items } = JSON.parse(events) as { items: { reason: string; message: string }[] };
  const told = items.map(({ reason, message }) => `${reason}: ${message}`);
  return [JSON.stringify((await get(name)).status), ...told].join("\n");
}

async function allSay(bad: BadPod[]): Promise<void> {
  for (const { name, spec } of bad) await lab.ok(["create", "-f", "-"], pod(name, spec));
  const outcomes = await Promise.allSettled(
    bad.map(({ name, says }) =>
      eventually(
        `${name} says it`,
        () => said(name),
        (text) => says.test(text),
        300_000,
      ),
    ),
  );
  expect(outcomes.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []))).toEqual([]);
}

describe.runIf(EVERYTHING)("the node's own parts", () => {
  it("Docker and its containerd restarted, and killed", { timeout: 900_000 }, async () => {
    const rounds = [
      ["TERM", "dockerd"],
      ["KILL", "containerd"],
      ["KILL", "dockerd"],
    ];
    for (const [signal, program] of rounds) {
      const containerd = await lab.shell("worker-1", "pgrep -x containerd");
      await lab.shell("worker-1", `pkill -${signal} -x ${program}`);
      await eventually(
        "Docker answers",
        () => lab.shell("worker-1", "docker ps -q | grep -c ."),
        (text) => Number(text) > 0,
        240_000,
      );
      // What knows of every container must not begin anew with dockerd: on a busy node that takes longer than dockerd waits.
      if (program === "dockerd") expect(await lab.shell("worker-1", "pgrep -x containerd")).toBe(containerd);
      await lab.ok(
        ["create", "-f", "-"],
        pod("after", { containers: [sh("sleep 600")], terminationGracePeriodSeconds: 1 }),
      );
      await lab.ok(["wait", "--for=condition=Ready", "pod/after", "--timeout=240s"]);
      expect(await isLeft("after")).toEqual([]);
    }
  });

  it(`the agent killed ${KILLS} times while Pods come and go`, { timeout: KILLS * 300_000 + 600_000 }, async () => {
    const random = randomOf(SEED);
    const template = {
      metadata: { labels: { app: "churn" } },
      spec: {
        nodeName: NODE,
        terminationGracePeriodSeconds: 1,
        volumes: [{ name: "v", emptyDir: { medium: "Memory" } }],
        containers: [sh("sleep 3600", { volumeMounts: [{ name: "v", mountPath: "/v" }] })],
      },
    };
    const spec = { replicas: 2, selector: { matchLabels: { app: "churn" } }, template };
    const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "churn" }, spec };
    await lab.ok(["create", "-f", "-"], JSON.stringify(deployment));
    const agent = (): Promise<string> => lab.shell("worker-1", "pgrep -f '[a]gent.cjs'");
    for (let kill = 0; kill < KILLS; kill++) {
      await lab.ok(["rollout", "status", "deployment/churn", "--timeout=240s"]);
      const before = await agent();
      await lab.ok(["rollout", "restart", "deployment/churn"]);
      // From one instant to a moment at which the old Pods are ending and the new ones starting.
      await sleep(random() * 12_000);
      // The shell comes through the agent: it ends with it.
      await lab.shell("worker-1", "pkill -9 -f '[a]gent.cjs'").catch(() => undefined);
      await eventually("the agent is there again", agent, (now) => now !== "" && now !== before, 240_000);
    }
    await lab.ok(["rollout", "status", "deployment/churn", "--timeout=300s"]);
    await lab.ok(["delete", "deployment", "churn", "--cascade=foreground", "--timeout=240s"]);
    expect(await isLeft()).toEqual([]);
  });
});

describe.runIf(EVERYTHING)("the surroundings", () => {
  const fetches = async (): Promise<boolean> => {
    const { status } = await get("far");
    return (await inside("near", `wget -q -T 10 -O - http://${status?.podIP}`)).includes("It works");
  };
  const isOurs = (id: string): boolean => id.endsWith("worker-1");

  it("the network cut, slow and lossy", { timeout: 600_000 }, async () => {
    const { hooks } = lab.network;
    expect(await fetches()).toBe(true);
    hooks.judge = (from, to) => (isOurs(from) || isOurs(to) ? "drop" : "pass");
    expect(await fetches()).toBe(false);
    // The way to the API server is another one.
    expect(await isNodeReady()).toBe("True");
    hooks.judge = (from, to) => (isOurs(from) || isOurs(to) ? { delayMillis: 150 } : "pass");
    await eventually("it is reached, slowly", fetches, Boolean, 120_000);
    const random = randomOf(SEED);
    hooks.judge = (from, to) => ((isOurs(from) || isOurs(to)) && random() < 0.2 ? "drop" : "pass");
    await eventually("it is reached, in spite of losses", fetches, Boolean, 120_000);
    delete hooks.judge;
    await eventually("it is reached as ever", fetches, Boolean, 120_000);
    expect(await isLeft()).toEqual([]);
  });

  it(`the API server away for ${AWAY_MILLIS / 1000} s`, { timeout: AWAY_MILLIS + 900_000 }, async () => {
    await lab.ok(
      ["create", "-f", "-"],
      pod("restless", { containers: [sh("sleep 4; exit 1")], terminationGracePeriodSeconds: 1 }),
    );
    await eventually(
      "it runs",
      () => get("restless"),
      ({ status }) => status?.phase === "Running",
    );
    const count = async (): Promise<number> =>
      (await get("restless")).status?.containerStatuses?.[0]?.restartCount ?? 0;
    const restarts = await count();
    const server = lab.dock.processes().find(({ command }) => command.includes("--advertise-address"));
    expect(server).toBeDefined();
    process.kill(server?.pid as number, "SIGSTOP");
    await sleep(AWAY_MILLIS);
    process.kill(server?.pid as number, "SIGCONT");
    await eventually("the node is Ready", isNodeReady, (ready) => ready === "True", 120_000);
    await eventually("what went on meanwhile is told", count, (now) => now > restarts, 120_000);
    expect(await isLeft("restless")).toEqual([]);
  });

  it("the clock moved, both ways", { timeout: 900_000 }, async () => {
    for (const day of [1, -1]) {
      await lab.ok(
        ["create", "-f", "-"],
        pod("clock", { containers: [sh("trap '' TERM; while :; do sleep 1; done")], terminationGracePeriodSeconds: 3 }),
      );
      await lab.ok(["wait", "--for=condition=Ready", "pod/clock", "--timeout=120s"]);
      await lab.shell("worker-1", `date -s @$(($(date +%s) + ${day * 86_400})) >/dev/null`);
      await lab.ok(["delete", "pod", "clock", "--timeout=60s"]);
      await eventually(
        "the clock is right again",
        async () => Math.abs(Number(await lab.shell("worker-1", "date +%s")) - Date.now() / 1000),
        (difference) => difference < 10,
        60_000,
      );
    }
    expect(await isLeft()).toEqual([]);
  });
});

describe.runIf(EVERYTHING)("bad Pods", () => {
  it("that cannot be run say why, and leave nothing", { timeout: 900_000 }, async () => {
    await allSay(MALFORMED);
    expect(await isLeft(...MALFORMED.map(({ name }) => name))).toEqual([]);
  });

  it("of images that lie, or are not for everybody", { timeout: 900_000 }, async () => {
    const volumeMounts = [{ name: "busybox", mountPath: "/host/busybox" }];
    const volumes = [...nodeVolumes, { name: "busybox", hostPath: { path: "/usr/bin/busybox", type: "File" } }];
    const registry = { hostNetwork: true, volumes, containers: [javascript(REGISTRY, { volumeMounts })] };
    await lab.ok(["create", "-f", "-"], pod("registry", { ...registry, terminationGracePeriodSeconds: 1 }));
    await lab.ok(["create", "-f", "-"], JSON.stringify(PULL_SECRET));
    await eventually(
      "the registry is open",
      () => lab.ok(["logs", "registry"]).catch(() => ""),
      (text) => text.includes("open"),
    );
    await allSay(LYING);
    expect(await lab.ok(["logs", "private-friend"])).toBe("ahoy\n");
    await allSay([GUEST]);
    expect(await isLeft("registry", ...[...LYING, GUEST].map(({ name }) => name))).toEqual([]);
  });

  it("that fork without end are ended", { timeout: 900_000 }, async () => {
    const bomb = sh("f() { f | f & }; f; sleep 600", { resources: { limits: { memory: "48Mi" } } });
    await lab.ok(["create", "-f", "-"], pod("bomb", { containers: [bomb], terminationGracePeriodSeconds: 1 }));
    await eventually(
      "it runs out of memory",
      () => said("bomb"),
      (text) => text.includes("OOMKilled"),
      180_000,
    );
    expect(await isLeft("bomb")).toEqual([]);
  });

  it("that fill the disk are evicted, and the room is there again", { timeout: 900_000 }, async () => {
    const script = "fallocate -l $(($(df -k / | tail -1 | awk '{print $4}') - 300000))k /big && echo full; sleep 600";
    await lab.ok(["create", "-f", "-"], pod("glutton", { containers: [sh(script)], restartPolicy: "Never" }));
    await eventually(
      "it is evicted",
      () => get("glutton"),
      ({ status }) => status?.reason === "Evicted",
      180_000,
    );
    const { status } = await get("glutton");
    expect(status?.phase).toBe("Failed");
    expect(status?.message).toMatch(/^The node was low on resource: ephemeral-storage\. /);
    expect(status?.conditions).toContainEqual(
      expect.objectContaining({ type: "DisruptionTarget", status: "True", reason: "TerminationByKubelet" }),
    );
    const pressure = (): Promise<string> =>
      field(`node/${NODE}`, ".status.conditions[?(@.type=='DiskPressure')].status");
    await eventually("the disk has room again", pressure, (text) => text === "False", 120_000);
    expect(await isLeft("glutton")).toEqual([]);
  });

  it("that flood their log do not fill the disk, and the log can be read", { timeout: 900_000 }, async () => {
    const line = "x".repeat(1000);
    await lab.ok(
      ["create", "-f", "-"],
      pod("chatter", { containers: [sh(`yes ${line}`)], terminationGracePeriodSeconds: 1 }),
    );
    await lab.ok(["wait", "--for=condition=Ready", "pod/chatter", "--timeout=120s"]);
    const kibibytes = async (): Promise<number> => {
      const id = (await get("chatter")).status?.containerStatuses?.[0]?.containerID?.replace("docker://", "");
      return Number((await lab.shell("worker-1", `du -sk /var/lib/docker/containers/${id} | cut -f1`)).trim());
    };
    await eventually("it was rotated", kibibytes, (size) => size > 10_500, 120_000);
    expect(await kibibytes()).toBeLessThan(31_000);
    expect(await lab.ok(["logs", "chatter", "--tail=1"])).toBe(`${line}\n`);
    expect(await isLeft("chatter")).toEqual([]);
  });
});
