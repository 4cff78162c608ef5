/**
 * A node whose Pods are processes of this computer: the agent's own kubelet server behind the engine's own egress proxy,
 * so that streams take the whole way from a client to a process without a machine.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Client } from "../../../common/kube/client.ts";
import type { Pod } from "../../../common/kube/types.ts";
import { Egress } from "../../../main/clusters/egress.ts";
import { createLeaf } from "../../../main/control-plane/pki/keys.ts";
import { Log } from "../../../vm-images/agent/log.ts";
import { RuntimeCache } from "../../../vm-images/agent/runtime/runtime-cache.ts";
import type { Runtime } from "../../../vm-images/agent/runtime/runtime.ts";
import { KubeletServer } from "../../../vm-images/agent/server/server.ts";
import { Collector } from "../../../vm-images/agent/stats/collect.ts";
import type { Volumes } from "../../../vm-images/agent/volumes/volumes.ts";
import { TestServer } from "../support.ts";
import { ProcessRuntime } from "./process-runtime.ts";
import type { ContainerOptions } from "./process-runtime.ts";

const ADDRESS = "10.240.0.31";
const KUBELET_PORT = 10_250;
const NODE = "processes";
const HOUR = 3600;

export interface PodOptions {
  containers: Record<string, Omit<ContainerOptions, "name"> & { ports?: { name?: string; containerPort: number }[] }>;
  labels?: Record<string, string>;
  /** Default "default". */
  namespace?: string;
}

interface Parts {
  server: TestServer;
  runtime: ProcessRuntime;
  /** What the kubelet's server logged. */
  lines: string[];
  client: Client;
  cache: RuntimeCache;
  pods: Map<string, Pod>;
  stop: () => Promise<void>;
}

export class ProcessNode {
  readonly server: TestServer;
  readonly runtime: ProcessRuntime;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.server = parts.server;
    this.runtime = parts.runtime;
    this.#parts = parts;
  }

  /** With a control plane of its own. */
  static async start(...flags: string[]): Promise<ProcessNode> {
    const folder = await mkdtemp(path.join(tmpdir(), "drydock-node-"));
    const socket = path.join(folder, "egress.sock");
    const server = await TestServer.start(`--kubelet-egress=unix:${socket}`, ...flags);
    const lines: string[] = [];
    const log = new Log((line) => void lines.push(line));
    const runtime = new ProcessRuntime();
    const whole = runtime as unknown as Runtime;
    const cache = new RuntimeCache(whole, log);
    const pods = new Map<string, Pod>();
    const pki = path.join(server.folder, "data", "pki");
    const ca = {
      certificate: await readFile(path.join(pki, "ca.crt"), "utf8"),
      key: await readFile(path.join(pki, "ca.key"), "utf8"),
    };
    const kubelet = new KubeletServer({
      port: 0,
      host: "127.0.0.1",
      ca: ca.certificate,
      certificate: await createLeaf(ca, {
        commonName: `system:node:${NODE}`,
        organizations: ["system:nodes"],
        sans: [ADDRESS],
        usages: ["server auth"],
        lifetime: HOUR,
      }),
      runtime: whole,
      cache,
      log,
      nodeAddress: ADDRESS,
      nodeName: NODE,
      pods: () => [...pods.values()],
      find: (namespace, name) => pods.get(`${namespace}/${name}`),
      podIP: () => "127.0.0.1",
      stats: new Collector({ cache, volumes: {} as Volumes, run: async () => "", pods: () => [] }),
      imagesChanged: () => undefined,
      reachRegistry: () => Promise.resolve(),
    });
    await kubelet.listen();
    const egress = new Egress(socket, (address, port) =>
      address === ADDRESS && port === KUBELET_PORT ? kubelet.port : undefined,
    );
    await egress.listen();
    const client = await server.client();
    await client.create(
      { group: "", version: "v1", resource: "nodes", name: "" },
      // Nothing is scheduled here: Pods that run are put here by name.
      { apiVersion: "v1", kind: "Node", metadata: { name: NODE }, spec: { unschedulable: true } },
    );
    await client.patch(
      { group: "", version: "v1", resource: "nodes", name: NODE, subresource: "status" },
      "application/merge-patch+json",
      {
        status: {
          addresses: [{ type: "InternalIP", address: ADDRESS }],
          daemonEndpoints: { kubeletEndpoint: { Port: KUBELET_PORT } },
          conditions: [
            { type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: new Date().toISOString() },
          ],
        },
      },
    );
    const stop = async (): Promise<void> => {
      runtime.stop();
      kubelet.close();
      await egress.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    };
    return new ProcessNode({ server, runtime, lines, client, cache, pods, stop });
  }

  /** A Pod that runs here, in the API and at the kubelet. */
  async pod(name: string, { containers, labels = {}, namespace = "default" }: PodOptions): Promise<Pod> {
    const { client, pods, cache } = this.#parts;
    const place = { group: "", version: "v1", resource: "pods", namespace };
    const names = Object.keys(containers);
    const created = (await client.create(
      { ...place, name: "" },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, labels },
        spec: {
          nodeName: NODE,
          automountServiceAccountToken: false,
          containers: names.map((container) => ({
            name: container,
            image: "drydock.local/busybox:1",
            stdin: true,
            tty: containers[container]?.tty ?? false,
            ports: containers[container]?.ports ?? [],
          })),
        },
      },
    )) as Pod;
    const state = { running: { startedAt: new Date().toISOString() } };
    const running = (await client.patch({ ...place, name, subresource: "status" }, "application/merge-patch+json", {
      status: {
        phase: "Running",
        podIP: "10.244.9.1",
        podIPs: [{ ip: "10.244.9.1" }],
        conditions: [
          { type: "Ready", status: "True" },
          { type: "ContainersReady", status: "True" },
        ],
        containerStatuses: names.map((container) => ({
          name: container,
          ready: true,
          started: true,
          restartCount: 0,
          image: "drydock.local/busybox:1",
          imageID: "",
          state,
        })),
      },
    })) as Pod;
    const uid = created.metadata.uid ?? randomUUID();
    for (const container of ["POD", ...names]) {
      this.runtime.add({
        ...containers[container],
        name: { container, pod: name, namespace, uid, attempt: 0 },
      });
    }
    pods.set(`${namespace}/${name}`, running);
    await cache.relist();
    return running;
  }

  /** What the kubelet's server logged. */
  get lines(): readonly string[] {
    return this.#parts.lines;
  }

  stop(): Promise<void> {
    return this.#parts.stop();
  }
}
