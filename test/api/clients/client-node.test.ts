/** @kubernetes/client-node, the official client for Node: informer, watch, apply, and the streams into a Pod. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough, Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import {
  CoreV1Api,
  Exec,
  KubeConfig,
  KubernetesObjectApi,
  Log,
  PatchStrategy,
  PortForward,
  Watch,
  makeInformer,
} from "@kubernetes/client-node";
import type { V1ConfigMap, V1Status } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ProcessNode } from "../streams/process-node.ts";
import { until } from "../support.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";

let node: ProcessNode;
let site: Server;
let config: KubeConfig;
let api: CoreV1Api;

beforeAll(async () => {
  site = createServer((_request, response) => response.end("hello from the Pod")).listen(0, "127.0.0.1");
  await once(site, "listening");
  node = await ProcessNode.start();
  await node.pod("web", { containers: { main: { command: ["true"], log: "one\ntwo\n" } } });
  config = new KubeConfig();
  config.loadFromFile(node.server.kubeconfig);
  api = config.makeApiClient(CoreV1Api);
});

afterAll(async () => {
  site?.closeAllConnections();
  site?.close();
  await node?.stop();
});

const make = (name: string, data: Record<string, string>): Promise<V1ConfigMap> =>
  api.createNamespacedConfigMap({ namespace: "default", body: { metadata: { name }, data } });

/** What is written to it, as text. */
function sink(): { stream: Writable; said: () => string } {
  let said = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      said += String(chunk);
      done();
    },
  });
  return { stream, said: () => said };
}

it("an informer tells what is there, what changes and what goes", async () => {
  await make("before", { a: "1" });
  const informer = makeInformer(config, MAPS, () => api.listNamespacedConfigMap({ namespace: "default" }));
  const told: string[] = [];
  for (const verb of ["add", "update", "delete"] as const)
    informer.on(verb, (map) => void told.push(`${verb} ${map.metadata?.name} ${map.data?.["a"] ?? ""}`));
  const errors: unknown[] = [];
  informer.on("error", (error) => void errors.push(error));
  await informer.start();
  try {
    await until(
      async () => told,
      (all) => all.includes("add before 1"),
    );
    await make("during", { a: "1" });
    await api.replaceNamespacedConfigMap({
      namespace: "default",
      name: "during",
      body: { metadata: { name: "during" }, data: { a: "2" } },
    });
    await api.deleteNamespacedConfigMap({ namespace: "default", name: "before" });
    await until(
      async () => told,
      (all) => all.includes("delete before 1"),
    );
    const own = told.filter((line) => !line.includes("kube-root-ca.crt"));
    expect(own).toEqual(["add before 1", "add during 1", "update during 2", "delete before 1"]);
    expect(informer.get("during", "default")?.data).toEqual({ a: "2" });
    expect(informer.get("before", "default")).toBeUndefined();
    expect(errors).toEqual([]);
  } finally {
    await informer.stop();
  }
});

it("a watch from a revision tells each change once and in order", async () => {
  const { metadata } = await api.listNamespacedConfigMap({ namespace: "default" });
  const told: string[] = [];
  const watch = await new Watch(config).watch(
    MAPS,
    { resourceVersion: metadata?.resourceVersion, allowWatchBookmarks: true, labelSelector: "watched=yes" },
    (phase, map: V1ConfigMap) => void told.push(`${phase} ${map.metadata?.name} ${map.data?.["n"]}`),
    () => undefined,
  );
  const body = (n: number): V1ConfigMap => ({
    metadata: { name: "counted", labels: { watched: "yes" } },
    data: { n: String(n) },
  });
  await api.createNamespacedConfigMap({ namespace: "default", body: body(0) });
  for (let n = 1; n < 20; n += 1)
    await api.replaceNamespacedConfigMap({ namespace: "default", name: "counted", body: body(n) });
  await until(
    async () => told,
    (all) => all.length >= 20,
  );
  watch.abort();
  expect(told).toEqual(Array.from({ length: 20 }, (_, n) => `${n === 0 ? "ADDED" : "MODIFIED"} counted ${n}`));
});

it("server-side apply makes, owns, conflicts and gives way to force", async () => {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const apply = (manager: string, a: string, force = false): Promise<V1ConfigMap> =>
    objects.patch<V1ConfigMap>(
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied", namespace: "default" }, data: { a } },
      undefined,
      undefined,
      manager,
      force,
      PatchStrategy.ServerSideApply,
    );
  expect((await apply("first", "1")).data).toEqual({ a: "1" });
  await expect(apply("second", "2")).rejects.toMatchObject({ code: 409 });
  expect((await apply("second", "2", true)).data).toEqual({ a: "2" });
});

it("an error is the Status that the server sent", async () => {
  await expect(api.readNamespacedPod({ namespace: "default", name: "nobody" })).rejects.toMatchObject({
    code: 404,
    body: expect.stringContaining('pods \\"nobody\\" not found') as string,
  });
});

it("exec carries input, both outputs and the exit code", async () => {
  const out = sink();
  const err = sink();
  const command = ["sh", "-c", "read line; echo got $line; echo bad >&2; exit 3"];
  const status = await new Promise<V1Status>((resolve, reject) => {
    new Exec(config)
      .exec("default", "web", "main", command, out.stream, err.stream, Readable.from(["hello\n"]), false, resolve)
      .catch(reject);
  });
  expect(out.said()).toBe("got hello\n");
  expect(err.said()).toBe("bad\n");
  expect(status).toMatchObject({ status: "Failure", reason: "NonZeroExitCode" });
  expect(status.details?.causes).toContainEqual({ reason: "ExitCode", message: "3" });
});

it("logs", async () => {
  const stream = new PassThrough();
  await new Log(config).log("default", "web", "main", stream, { tailLines: 1 });
  expect(await text(stream)).toBe("two\n");
});

it("port-forward", async () => {
  const { port } = site.address() as AddressInfo;
  const answer = sink();
  const input = new PassThrough();
  const socket = await new PortForward(config).portForward("default", "web", [port], answer.stream, null, input);
  input.write("GET / HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n");
  await expect.poll(answer.said).toContain("hello from the Pod");
  (typeof socket === "function" ? socket() : socket)?.close();
});
