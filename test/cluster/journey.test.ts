/**
 * The whole journey in real virtual machines, on one cluster from first to last: create it, run the hello
 * application, look inside, break it, mend it, put it to sleep, wake it, delete it.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import { kubectlPath } from "../tools/kubectl.ts";
import { Dock, eventually, run } from "./support.ts";
import type { Result, RunOptions } from "./support.ts";

const NAME = "journey";
const HELLO = path.resolve(import.meta.dirname, "../../examples/hello.yaml");

let dock: Dock;
let kubectlFile: string;
let kubeconfig: string | undefined;

interface PodList {
  items: {
    metadata: { name: string; uid: string; deletionTimestamp?: string };
    spec: { nodeName: string };
    status: {
      phase: string;
      podIP?: string;
      conditions?: { type: string; status: string }[];
      containerStatuses?: { restartCount: number; containerID?: string }[];
    };
  }[];
}

function kubectl(args: string[], options: RunOptions = {}): Promise<Result> {
  return run(kubectlFile, ["--kubeconfig", kubeconfig ?? "", ...args], options);
}

async function ok(...args: string[]): Promise<string> {
  const result = await kubectl(args);
  if (result.code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
  return result.stdout;
}

async function get<T>(...args: string[]): Promise<T> {
  return JSON.parse(await ok("get", ...args, "-o", "json")) as T;
}

const status = (): Promise<ClusterSummary> => dock.json<ClusterSummary>("status", NAME);
const helloPods = async (): Promise<PodList["items"]> => (await get<PodList>("pods", "-l", "app=hello")).items;
const isReady = (pod: PodList["items"][number]): boolean =>
  pod.status.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false;

async function page(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  return response.text();
}

/** What `docker save` writes, of an image with one file in it. */
async function imageArchive(name: string): Promise<Buffer> {
  const layer = await tar({ "etc/motd": "ahoy\n" });
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [`sha256:${createHash("sha256").update(layer).digest("hex")}`] },
  };
  return tar({
    "config.json": JSON.stringify(config),
    "layer.tar": layer,
    "manifest.json": JSON.stringify([{ Config: "config.json", RepoTags: [name], Layers: ["layer.tar"] }]),
  });
}

async function tar(files: Record<string, string | Buffer>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
  archive.finalize();
  return buffer(archive);
}

beforeAll(async () => {
  kubectlFile = await kubectlPath();
  dock = await Dock.make();
});
afterAll(() => dock.dispose());

let begun = false;
beforeEach(({ skip }) => {
  // Everything stands on the first test: without a cluster the others would only wait.
  if (begun && kubeconfig === undefined) skip("the cluster was not created");
  begun = true;
});

describe("creating", () => {
  it("makes one master and two workers, all Ready, and says how long each step took", async () => {
    const result = await dock.drydock(["up", NAME], { millis: 900_000 });
    expect(result).toMatchObject({ code: 0, stderr: expect.stringMatching(/✓ journey-worker-2 is Ready/) });
    kubeconfig = (await dock.ok("kubeconfig", NAME)).trim();
    const cluster = await status();
    expect(cluster.state).toBe("running");
    expect(cluster.nodes.every((node) => node.machine === "running" && node.ready && (node.pid ?? 0) > 0)).toBe(true);
  });

  it("gives every node its own address, Pod network, and kubelet certificate; the bootstrap tokens are gone", async () => {
    const nodes = await get<{
      items: {
        metadata: { name: string };
        spec: { podCIDR: string };
        status: { addresses: { type: string; address: string }[]; capacity: Record<string, string> };
      }[];
    }>("nodes");
    const addresses = nodes.items.map(
      (node) => node.status.addresses.find((address) => address.type === "InternalIP")?.address,
    );
    expect(addresses.toSorted()).toEqual(["10.240.0.11", "10.240.0.21", "10.240.0.22"]);
    expect(new Set(nodes.items.map((node) => node.spec.podCIDR)).size).toBe(3);
    expect(nodes.items.every((node) => Number(node.status.capacity["cpu"]) === 2)).toBe(true);
    expect(
      await ok(
        "get",
        "secrets",
        "-n",
        "kube-system",
        "--field-selector",
        "type=bootstrap.kubernetes.io/token",
        "-o",
        "name",
      ),
    ).toBe("");
  });

  it("refuses a second one of the same name while it lives, and an unknown node", async () => {
    expect((await dock.drydock(["shell", "worker-9", "-c", NAME])).code).toBe(3);
    expect((await dock.drydock(["up", NAME])).stderr).toContain("running already");
  });
});

describe("the hello application", () => {
  it("is applied, and its three Pods become Ready on the workers", async () => {
    await ok("apply", "-f", HELLO);
    await ok("rollout", "status", "deployment/hello", "--timeout=240s");
    const pods = await helloPods();
    expect(pods).toHaveLength(3);
    expect(new Set(pods.map((pod) => pod.spec.nodeName))).toEqual(new Set(["journey-worker-1", "journey-worker-2"]));
  });

  it("is reached from this computer: node port and tunnel", async () => {
    const cluster = await eventually("its node port is led here", status, (found) =>
      found.nodePorts.some((port) => port.service === "hello"),
    );
    const { hostPort } = cluster.nodePorts.find((port) => port.service === "hello") as { hostPort: number };
    expect(
      await eventually(
        "the page comes",
        () => page(`http://127.0.0.1:${hostPort}/`),
        (text) => text.includes("Hello from Drydock"),
      ),
    ).toContain("virtual machine");
    const { connectEngine } = await import("../../main/engine/client.ts");
    const connection = await connectEngine({ home: dock.home });
    const tunnel = await connection.client.tunnels.open({ cluster: NAME, service: "hello", port: "http" });
    expect(await page(tunnel.url)).toContain("Hello from Drydock");
    await connection.client.tunnels.close({ id: tunnel.id });
    connection.close();
  });

  it("has logs, and runs commands with input, output and exit code", async () => {
    const [pod] = await helloPods();
    const name = pod?.metadata.name as string;
    await eventually(
      "an access line in the log",
      () => ok("logs", name, "--tail=20"),
      (text) => text.includes("GET /"),
    );
    expect(await ok("exec", name, "--", "sh", "-c", "echo from inside")).toBe("from inside\n");
    expect((await kubectl(["exec", "-i", name, "--", "cat"], { input: "through\n" })).stdout).toBe("through\n");
    expect((await kubectl(["exec", name, "--", "sh", "-c", "exit 7"])).code).toBe(7);
  });

  it("is found by name from another Pod, on another node, by ClusterIP and by Pod address", async () => {
    // On the worker that no later test kills.
    const overrides = `--overrides=${JSON.stringify({ spec: { nodeName: "journey-worker-1" } })}`;
    await ok(
      "run",
      "probe",
      overrides,
      "--image=drydock.local/busybox:1",
      "--restart=Never",
      "--command",
      "--",
      "sleep",
      "3600",
    );
    await ok("wait", "pod/probe", "--for=condition=Ready", "--timeout=180s");
    expect(
      await ok("exec", "probe", "--", "wget", "-qO-", "-T", "10", "http://hello.default.svc.cluster.local/"),
    ).toContain("Hello from Drydock");
    for (const pod of await helloPods()) {
      expect(await ok("exec", "probe", "--", "wget", "-qO-", "-T", "10", `http://${pod.status.podIP}/`)).toContain(
        "Hello from Drydock",
      );
    }
  });

  it("is scaled and rolled over", async () => {
    await ok("scale", "deployment/hello", "--replicas=2");
    await eventually("two Pods", helloPods, (pods) => pods.length === 2);
    await ok("set", "env", "deployment/hello", "COLOUR=blue");
    await ok("rollout", "status", "deployment/hello", "--timeout=240s");
    const renewed = (await helloPods()).find((pod) => pod.metadata.deletionTimestamp === undefined);
    const colour = await ok("exec", renewed?.metadata.name ?? "", "--", "sh", "-c", "echo $COLOUR");
    expect(colour).toBe("blue\n");
    await ok("scale", "deployment/hello", "--replicas=3");
    await ok("rollout", "status", "deployment/hello", "--timeout=240s");
  });
});

describe("a node from the host", () => {
  it("has a shell, logs and images", async () => {
    const shell = await dock.drydock(["shell", "worker-1", "-c", NAME], {
      input: "hostname; docker ps --format '{{.Image}}' | sort -u; exit 3\n",
    });
    expect(shell.stdout).toContain("journey-worker-1");
    expect(shell.stdout).toContain("drydock.local/pause:1");
    expect(shell.code).toBe(3);
    const script = "cat; hostname; echo trouble >&2; exit 4";
    const command = await dock.drydock(["shell", "worker-1", "-c", NAME, "--", "sh", "-c", script], { input: "in\n" });
    expect(command).toEqual({ code: 4, stdout: "in\njourney-worker-1\n", stderr: "trouble\n" });
    expect(await dock.drydock(["shell", "worker-1", "-c", NAME, "--", "no-such-program"])).toMatchObject({ code: 127 });
    expect(await dock.ok("logs", "worker-1", "-c", NAME)).not.toBe("");
    expect(await dock.ok("logs", "worker-1", "-c", NAME, "--console", "--lines", "1000")).not.toBe("");
    const images = await dock.json<{ node: string; names: string[] }[]>("image", "list", NAME);
    expect(images.some((image) => image.names.includes("drydock.local/nginx:1"))).toBe(true);
  });

  it("loads an image into every node, and refuses what is none", async () => {
    const archive = path.join(dock.home, "mine.tar");
    await writeFile(archive, await imageArchive("mine.local/app:7"));
    await dock.ok("image", "load", NAME, archive);
    const images = await dock.json<{ node: string; names: string[] }[]>("image", "list", NAME);
    const holders = images.filter((image) => image.names.includes("mine.local/app:7")).map((image) => image.node);
    expect(holders.toSorted()).toEqual((await status()).nodes.map((node) => node.name).toSorted());
    const refused = await dock.drydock(["image", "load", NAME, HELLO]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/IMAGE_LOAD_FAILED[\s\S]*docker save/) });
  });
});

describe("faults", () => {
  it("says why an image cannot be had", async () => {
    const images = { unreachable: "127.0.0.1:1/none:1", never: "missing.local/x:1" };
    for (const [name, image] of Object.entries(images))
      await ok("run", name, `--image=${image}`, `--image-pull-policy=${name === "never" ? "Never" : "Always"}`);
    const reason = async (name: string): Promise<string> =>
      ok("get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}");
    await eventually(
      "never pulled",
      () => reason("never"),
      (found) => found === "ErrImageNeverPull",
    );
    await eventually(
      "backing off",
      () => reason("unreachable"),
      (found) => found === "ImagePullBackOff",
    );
    expect(await ok("events", "--for", "pod/unreachable")).toMatch(/Failed to pull image.*connection refused/);
    await ok("delete", "pod", ...Object.keys(images), "--wait=false");
  });

  it("keeps the containers when the agent or Docker is killed", async () => {
    const containers = async (): Promise<unknown[]> =>
      (await helloPods()).map((pod) => [
        pod.status.containerStatuses?.[0]?.containerID,
        pod.status.containerStatuses?.[0]?.restartCount,
      ]);
    const before = await containers();
    for (const [victim, killed] of [
      ["dockerd", "pkill -9 -x dockerd"],
      ["agent", "pkill -9 -f [a]gent.cjs"],
    ]) {
      const pids = `pgrep -f '${victim === "agent" ? "[a]gent.cjs" : "^dockerd"}'`;
      // Killing the agent ends the shell that came through it.
      await dock.drydock(["shell", "worker-1", "-c", NAME], { input: `${killed}; sleep 1; exit\n` });
      const again = await eventually(
        `${victim} is back`,
        () => dock.drydock(["shell", "worker-1", "-c", NAME], { input: `stty -echo\n${pids} | wc -l; exit\n` }),
        (shell) => shell.code === 0,
      );
      expect(again.stdout).toMatch(/^\s*1\s*$/m);
    }
    await ok("wait", "--for=condition=Ready", "node/journey-worker-1", "--timeout=60s");
    expect(await containers()).toEqual(before);
    expect(await ok("exec", "probe", "--", "wget", "-qO-", "-T", "10", "http://hello/")).toContain("Hello from");
  });

  it("notices a killed worker: NotReady, degraded, its Pods replaced elsewhere, and takes it back", async () => {
    const before = await status();
    const victim = before.nodes.find((node) => node.name === "journey-worker-2");
    process.kill(victim?.pid as number, "SIGKILL");
    const broken = await eventually("the cluster is degraded", status, (cluster) => cluster.state === "degraded");
    expect(broken.nodes.find((node) => node.name === "journey-worker-2")?.failure?.code).toBe("MACHINE_GONE");
    await eventually(
      "the node is NotReady",
      status,
      (cluster) => cluster.nodes.some((node) => node.name === "journey-worker-2" && node.ready === false),
      120_000,
    );
    // The default toleration is five minutes; the test does not wait for that, but evicts what lies there as it would.
    for (const pod of await helloPods()) {
      if (pod.spec.nodeName === "journey-worker-2")
        await ok("delete", "pod", pod.metadata.name, "--force", "--grace-period=0");
    }
    await eventually(
      "three Ready Pods on the other worker",
      helloPods,
      (pods) => pods.filter((pod) => pod.spec.nodeName === "journey-worker-1" && isReady(pod)).length === 3,
      300_000,
    );
    await dock.ok("node", "start", "worker-2", "-c", NAME);
    expect((await status()).state).toBe("running");
  });
});

describe("lasting", () => {
  it("keeps nodes, objects and running Pods over down and up", async () => {
    const before = await helloPods();
    await dock.ok("down", NAME);
    expect(await status()).toMatchObject({ state: "stopped", controlPlane: "stopped" });
    expect(dock.processes()).toEqual([]);
    await dock.ok("engine", "stop");
    // The next engine knows that they go on from where they were.
    expect((await status()).nodes.map((node) => node.machine)).toEqual(["suspended", "suspended", "suspended"]);
    await dock.ok("up", NAME);
    const after = await eventually("its Pods are Ready", helloPods, (pods) => pods.length === 3 && pods.every(isReady));
    expect(after.map((pod) => pod.metadata.uid).toSorted()).toEqual(before.map((pod) => pod.metadata.uid).toSorted());
    // Suspended, not rebooted: the very containers go on.
    expect(after.map((pod) => pod.status.containerStatuses?.[0]?.containerID).toSorted()).toEqual(
      before.map((pod) => pod.status.containerStatuses?.[0]?.containerID).toSorted(),
    );
    expect(await ok("exec", "probe", "--", "wget", "-qO-", "-T", "10", "http://hello/")).toContain(
      "Hello from Drydock",
    );
  });

  it("survives kill -9 of the engine: machines taken up, nothing lost, the same Pods", async () => {
    await ok("create", "configmap", "written-before", "--from-literal=a=1");
    const before = await status();
    const pods = (await helloPods()).map((pod) => pod.metadata.uid).toSorted();
    process.kill(dock.enginePid(), "SIGKILL");
    await dock.ok("up", NAME);
    const after = await eventually("it runs", status, (cluster) => cluster.state === "running");
    expect(after.nodes.map((node) => node.pid)).toEqual(before.nodes.map((node) => node.pid));
    expect(after.apiServer).toBe(before.apiServer);
    await ok("get", "configmap", "written-before");
    expect((await helloPods()).map((pod) => pod.metadata.uid).toSorted()).toEqual(pods);
    expect(
      await eventually(
        "the cluster's network works",
        () => ok("exec", "probe", "--", "wget", "-qO-", "-T", "10", "http://hello/"),
        (text) => text.includes("Drydock"),
      ),
    ).toContain("Hello");
    const { nodePorts } = await eventually(
      "its node port is led here",
      status,
      (cluster) => cluster.nodePorts.length > 0,
    );
    expect(await page(`http://127.0.0.1:${nodePorts[0]?.hostPort}/`)).toContain("Hello from Drydock");
  });

  it("leaves a damaged cluster file alone, and other clusters work", async () => {
    const folder = path.join(dock.home, "clusters", "hurt");
    const { mkdir } = await import("node:fs/promises");
    await mkdir(folder);
    await writeFile(path.join(folder, "cluster.json"), "{");
    await dock.ok("engine", "stop", "--keep-clusters");
    const list = await dock.json<ClusterSummary[]>("list");
    expect(list.find((cluster) => cluster.name === "hurt")?.failure?.code).toBe("CLUSTER_FILE_DAMAGED");
    expect(await readFile(path.join(folder, "cluster.json"), "utf8")).toBe("{");
    await eventually("the other one runs", status, (cluster) => cluster.state === "running");
    await dock.ok("delete", "hurt", "--yes");
  });
});

describe("deleting", () => {
  it("leaves no process, socket or file", async () => {
    await dock.ok("delete", NAME, "--yes");
    expect(dock.processes()).toEqual([]);
    expect(dock.sockets()).toEqual(["engine.sock"]);
    expect(await readdir(path.join(dock.home, "clusters"))).toEqual([]);
  });
});
