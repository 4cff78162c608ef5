/**
 * A cluster that is worked with: folders of this computer in it, images from registries and Dockerfiles, addresses that a
 * browser reaches, names of other zones, and nodes that come, change and go.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import path from "node:path";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import { kubectlPath } from "../tools/kubectl.ts";
import { Dock, eventually, run } from "./support.ts";
import type { Result } from "./support.ts";
import { CAPTAIN, REGISTRY, Registry } from "./tools/registry.ts";

const EVERYTHING = process.env["DRYDOCK_RUNS"] === "all";
const NAME = "ops";
const BUSYBOX = "drydock.local/busybox:1";
const SITE = "/site";
const WORK = "/work";

let dock: Dock;
let kubectlFile: string;
let kubeconfig: string | undefined;
let registry: Registry | undefined;

const kubectl = (args: string[], input?: string): Promise<Result> =>
  run(kubectlFile, ["--kubeconfig", kubeconfig ?? "", ...args], input === undefined ? {} : { input });
async function ok(...args: string[]): Promise<string> {
  const result = await kubectl(args);
  if (result.code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
  return result.stdout;
}
async function apply(...objects: object[]): Promise<void> {
  const result = await kubectl(["apply", "-f", "-"], objects.map((object) => JSON.stringify(object)).join("\n---\n"));
  if (result.code !== 0) throw new Error(result.stderr);
}
const status = (): Promise<ClusterSummary> => dock.json<ClusterSummary>("status", NAME);
const inside = (script: string): Promise<string> => ok("exec", "desk", "-c", "main", "--", "sh", "-c", script);
const folder = (name: string): string => path.join(dock.home, name);

beforeAll(async () => {
  kubectlFile = await kubectlPath();
  dock = await Dock.make();
  if (existsSync(REGISTRY)) registry = await Registry.start();
  for (const name of ["site", "work"]) await mkdir(folder(name));
  await writeFile(path.join(folder("site"), "index.html"), "from this computer\n");
});
afterAll(async () => {
  await registry?.stop();
  await dock.dispose();
});

let begun = false;
beforeEach(({ skip }) => {
  if (begun && kubeconfig === undefined) skip("the cluster was not created");
  begun = true;
});

describe("folders of this computer", () => {
  it("are on every node before the first Pod: one to read, one to write", async () => {
    const mounts = ["--mount", `${folder("site")}:${SITE}`, "--mount", `${folder("work")}:${WORK}:rw`];
    await dock.ok("up", NAME, "--workers", "1", ...mounts);
    kubeconfig = (await dock.ok("kubeconfig", NAME)).trim();
    const container = (name: string): object => ({
      name,
      image: BUSYBOX,
      command: ["sh", "-c", `trap 'echo ${name} >> ${WORK}/ends; exit 0' TERM; sleep 3600 & wait`],
      volumeMounts: ["site", "work"].map((mount) => ({ name: mount, mountPath: `/${mount}` })),
    });
    const volume = (name: string): object => ({ name, hostPath: { path: `/${name}`, type: "Directory" } });
    await apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "desk" },
      spec: {
        nodeName: `${NAME}-worker-1`,
        terminationGracePeriodSeconds: 20,
        initContainers: [{ ...container("sidecar"), restartPolicy: "Always" }],
        containers: [container("main")],
        volumes: [volume("site"), volume("work")],
      },
    });
    const pillar = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "pillar" },
      spec: {
        nodeName: `${NAME}-worker-1`,
        priorityClassName: "system-cluster-critical",
        containers: [container("critical")],
        volumes: [volume("site"), volume("work")],
      },
    };
    if (EVERYTHING) await apply(pillar);
    await ok("wait", "pod", "--all", "--for=condition=Ready", "--timeout=180s");
    expect(await inside("cat /site/index.html; touch /site/x 2>&1 || true")).toMatch(/from this computer\n.*Read-only/);
    await inside("mkdir /work/a && echo made > /work/a/b && mv /work/a /work/c && ln -s c/b /work/l && cat /work/l");
    expect(await readFile(path.join(folder("work"), "c", "b"), "utf8")).toBe("made\n");
  });

  it("are refused where they are not, or where nodes have their own", async () => {
    expect((await dock.drydock(["up", "other", "--mount", `${dock.home}/none:/site`])).stderr).toContain(
      "is not there",
    );
    expect((await dock.drydock(["up", "other", "--mount", `${dock.home}:/etc`])).code).toBe(2);
  });
});

describe("images", () => {
  const named = "registry.example.test/team/app:1";

  it.skipIf(!existsSync(REGISTRY))("are pulled by every node and brought from the registry once", async () => {
    const upstream = registry as Registry;
    await upstream.push("team/app", "1", { "etc/motd": "ahoy\n" });
    const file = `mirrors: {registry.example.test: {endpoint: ["${upstream.url}"]}}\n`;
    await writeFile(path.join(dock.home, "registries.yaml"), file);
    const pulled = await dock.drydock(["image", "pull", named, "-c", NAME]);
    expect(pulled).toMatchObject({ code: 0, stderr: expect.stringMatching(/✓ Pull .* onto ops-worker-1/) });
    const blobs = upstream.requests.filter((what) => what.startsWith("GET") && what.includes("/blobs/"));
    expect(blobs).toHaveLength(2);
    const images = await dock.json<{ node: string; names: string[] }[]>("image", "list", NAME);
    expect(images.filter(({ names }) => names.includes(named)).map(({ node }) => node)).toHaveLength(2);
  });

  it.skipIf(!existsSync(REGISTRY))(
    "of a registry on this computer are pulled by the name they have there",
    async () => {
      const image = `localhost:${(registry as Registry).port}/team/app:1`;
      await dock.ok("image", "pull", image, "-c", NAME, "--node", "worker-1");
      const none = `localhost:${(registry as Registry).port}/none:1`;
      const missing = await dock.drydock(["image", "pull", none, "-c", NAME, "--node", "worker-1"]);
      expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("DOCKER_REFUSED") });
    },
  );

  it.skipIf(!EVERYTHING || !existsSync(REGISTRY))(
    "of a private registry are for Pods that have its secret",
    async () => {
      const harbour = await Registry.start({ isPrivate: true });
      try {
        await harbour.push("team/secret", "1", { "etc/motd": "ahoy\n" });
        const image = `localhost:${harbour.port}/team/secret:1`;
        const auths = { [`localhost:${harbour.port}`]: CAPTAIN };
        const pod = (name: string, more: object): object => ({
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name },
          spec: {
            nodeName: `${NAME}-worker-1`,
            restartPolicy: "Never",
            containers: [{ name: "main", image, imagePullPolicy: "Always", command: ["/none"] }],
            ...more,
          },
        });
        await apply(
          {
            apiVersion: "v1",
            kind: "Secret",
            metadata: { name: "harbour" },
            type: "kubernetes.io/dockerconfigjson",
            stringData: { ".dockerconfigjson": JSON.stringify({ auths }) },
          },
          pod("stranger", {}),
          pod("friend", { imagePullSecrets: [{ name: "harbour" }] }),
        );
        // The image has no program: that there is a container at all says that it was pulled.
        const events = (name: string): Promise<string> => ok("events", "--for", `pod/${name}`);
        await eventually(
          "the friend has it",
          () => events("friend"),
          (text) => text.includes("Successfully pulled image"),
        );
        const told = await eventually(
          "the stranger has an answer",
          () => events("stranger"),
          (text) => text.includes("Failed to pull image"),
        );
        expect(told).toMatch(/unauthorized|no basic auth credentials|authentication required/i);
        expect(told).not.toContain("Successfully pulled");
        await ok("delete", "pod", "stranger", "friend", "--wait=false");
      } finally {
        await harbour.stop();
      }
    },
  );

  it("are built from a Dockerfile and run on any node", async () => {
    await mkdir(folder("context"));
    await writeFile(path.join(folder("context"), ".dockerignore"), "secret\n");
    await writeFile(path.join(folder("context"), "secret"), "s");
    await writeFile(path.join(folder("context"), "file"), "copied\n");
    const dockerfile = `FROM ${BUSYBOX}\nARG WHO\nCOPY . /in\nRUN echo "built by $WHO" > /out && ls /in >> /out\n`;
    await writeFile(path.join(folder("context"), "Dockerfile"), dockerfile);
    const name = `localhost:${registry?.port ?? 5000}/mine:1`;
    const args = ["image", "build", folder("context"), "-t", name, "--build-arg", "WHO=me", "-c", NAME];
    const built = await dock.drydock(args);
    expect(built).toMatchObject({ code: 0, stdout: expect.stringContaining("Step 4/4") });
    const images = await dock.json<{ node: string; names: string[] }[]>("image", "list", NAME);
    expect(images.filter(({ names }) => names.includes(name))).toHaveLength(2);
    await ok("run", "built", `--image=${name}`, "--restart=Never", "--command", "--", "cat", "/out");
    await ok("wait", "pod/built", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s");
    expect(await ok("logs", "built")).toBe("built by me\nDockerfile\nfile\n");
    await writeFile(path.join(folder("context"), "Dockerfile"), `FROM ${BUSYBOX}\nCOPY secret /\n`);
    const failed = await dock.drydock(args);
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/COPY failed: .*secret/) });
    expect(failed.stderr).toContain("DOCKER_REFUSED");
  });

  it.skipIf(!existsSync(REGISTRY))("are pushed to a registry by a node that has them", async () => {
    const { url, port } = registry as Registry;
    await dock.ok("image", "push", `localhost:${port}/mine:1`, "-c", NAME);
    expect(await (await fetch(`${url}/v2/mine/tags/list`)).json()).toMatchObject({ tags: ["1"] });
    const missing = await dock.drydock(["image", "push", `localhost:${port}/none:1`, "-c", NAME]);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("CONTAINER_IMAGE_MISSING") });
  });

  it("are asked for by the docker of this computer", async () => {
    const env = await dock.ok("docker-env", "worker-1", "-c", NAME);
    const socketPath = /DOCKER_HOST="unix:\/\/([^"]+)"/.exec(env)?.[1] ?? "";
    const answer = await new Promise<string>((resolve, reject) => {
      httpRequest({ socketPath, path: "/info" }, (response) => readText(response).then(resolve, reject))
        .once("error", reject)
        .end();
    });
    expect(JSON.parse(answer)).toMatchObject({ Name: `${NAME}-worker-1` });
  });

  it.skipIf(!existsSync(REGISTRY))("are pruned, and come from the cache while the registry is away", async () => {
    expect(await dock.ok("image", "prune", NAME)).toContain(named);
    await registry?.stop();
    registry = undefined;
    await dock.ok("image", "pull", named, "-c", NAME);
    expect(await dock.json<{ blobs: number }>("image", "cache")).toMatchObject({ blobs: 3 });
  });
});

describe("the network", () => {
  it("gives a LoadBalancer an address of its own that this computer reaches", async () => {
    await ok("create", "deployment", "front", "--image=drydock.local/nginx:1");
    await ok("expose", "deployment", "front", "--type=LoadBalancer", "--port=5080", "--target-port=80");
    await ok("rollout", "status", "deployment/front", "--timeout=180s");
    const address = await eventually(
      "its address",
      () => ok("get", "service", "front", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"),
      (found) => found !== "",
    );
    expect(address).toMatch(/^127\.\d+\.\d+\.\d+$/);
    const page = await eventually(
      "the page comes",
      async () => (await fetch(`http://${address}:5080/`, { signal: AbortSignal.timeout(5000) })).text(),
      (found) => found.includes("nginx"),
    );
    expect(page).toContain("It works");
    expect(await ok("get", "events", "--field-selector", "reason=EnsuredLoadBalancer")).toContain(
      `5080 at ${address}:5080`,
    );
  });

  it("answers for other zones as kube-system/coredns says", async () => {
    const data = { Corefile: "lab.example {\n  hosts {\n    10.9.8.7 printer.lab.example\n  }\n}\n" };
    await apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "coredns", namespace: "kube-system" }, data });
    const answer = await eventually(
      "the name is known",
      () => inside("nslookup printer.lab.example || true"),
      (found) => found.includes("10.9.8.7"),
      60_000,
    );
    expect(answer).toContain("printer.lab.example");
    expect(await inside("nslookup kubernetes.default.svc.cluster.local")).toContain("10.96.0.1");
  });
});

describe("nodes", () => {
  it("are added, and carry folders and Pods like the others", async () => {
    await dock.ok("node", "add", NAME);
    const cluster = await status();
    expect(cluster.nodes.map(({ name, ready }) => [name, ready])).toContainEqual([`${NAME}-worker-2`, true]);
    expect(cluster.plan.workers).toBe(2);
  });

  it("get a larger disk while they run, and other memory at their next start", async () => {
    const capacity = (): Promise<string> => ok("get", "node", `${NAME}-worker-2`, "-o", "jsonpath={.status.capacity}");
    const before = JSON.parse(await capacity()) as Record<string, string>;
    const set = await dock.drydock(["node", "set", "worker-2", "-c", NAME, "--disk", "24", "--memory", "1280M"]);
    expect(set).toMatchObject({ code: 0, stderr: expect.stringContaining("its new memory at its next start") });
    await eventually("the file system has grown", capacity, (text) => {
      const now = JSON.parse(text) as Record<string, string>;
      return (
        Number.parseInt(now["ephemeral-storage"] ?? "", 10) >
        Number.parseInt(before["ephemeral-storage"] ?? "", 10) * 1.15
      );
    });
    const node = (await status()).nodes.find(({ name }) => name === `${NAME}-worker-2`);
    expect(node).toMatchObject({ diskGiB: 24, memoryMiB: 1024, next: { memoryMiB: 1280 } });
    expect((await dock.drydock(["node", "set", "worker-2", "-c", NAME, "--disk", "10"])).stderr).toContain(
      "NODE_REFUSED",
    );
  });

  it("are removed once their Pods have left; what would be lost keeps them", async () => {
    const refused = await dock.drydock(["node", "remove", "worker-1", "-c", NAME]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/NODE_DRAIN_BLOCKED[\s\S]*default\/desk/) });
    expect(await ok("get", "node", `${NAME}-worker-1`, "-o", "jsonpath={.spec.unschedulable}")).toBe("");
    const pid = (await status()).nodes.find(({ name }) => name === `${NAME}-worker-2`)?.pid;
    await dock.ok("node", "remove", "worker-2", "-c", NAME);
    const cluster = await status();
    expect(cluster.nodes.map(({ name }) => name)).toEqual([`${NAME}-master-1`, `${NAME}-worker-1`]);
    expect(await ok("get", "nodes", "-o", "name")).not.toContain("worker-2");
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(existsSync(path.join(dock.home, "clusters", NAME, "nodes", `${NAME}-worker-2`))).toBe(false);
  });

  it("that are stopped end their Pods for good, in order, and tell so", async () => {
    await dock.ok("node", "stop", "worker-1", "-c", NAME);
    // What ended last still had the folder of this computer to say so.
    expect(await readFile(path.join(folder("work"), "ends"), "utf8")).toBe(
      `main\nsidecar\n${EVERYTHING ? "critical\n" : ""}`,
    );
    expect(JSON.parse(await ok("get", "pod", "desk", "-o", "json"))).toMatchObject({
      status: {
        phase: "Failed",
        reason: "Terminated",
        containerStatuses: [{ state: { terminated: {} } }],
        conditions: expect.arrayContaining([expect.objectContaining({ type: "DisruptionTarget", status: "True" })]),
      },
    });
    const why = "jsonpath={.status.conditions[?(@.type=='Ready')].message}";
    expect(await ok("get", "node", `${NAME}-worker-1`, "-o", why)).toBe("node is shutting down");
  });
});

describe("deleting", () => {
  it("leaves no process, socket or file", async () => {
    await dock.ok("delete", NAME, "--yes");
    expect(dock.processes()).toEqual([]);
    expect(dock.sockets()).toEqual(["engine.sock"]);
  });
});
