/**
 * Plays a node's whole way once in the template, against a pretended API server in this process: joining, a Pod with one
 * container, a Service, a question to DNS, the kubelet's API. A clone then wakes with all code compiled, all connections to Docker open
 * and every program and library it needs in memory. Nothing of it is kept.
 */
import { mkdir, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createSocket } from "node:dgram";
import { encode } from "dns-packet";
import type { NodeIdentity } from "../../common/node/identity.ts";
import type { RunCommand } from "./command.ts";
import { sleep } from "./command.ts";
import { newPrivateKey } from "./join/certificate-request.ts";
import { selfSigned } from "./join/self-signed.ts";
import type { SandboxPool } from "./kubelet/sandbox-pool.ts";
import { Log } from "./log.ts";
import { NodeAgent } from "./node-agent.ts";
import type { RuntimeCache } from "./runtime/runtime-cache.ts";
import type { Runtime } from "./runtime/runtime.ts";

const FOLDER = "/run/drydock/rehearsal";
const DEADLINE = 45_000;
const NODE = "rehearsal";
const UID = "00000000-0000-4000-8000-000000000000";
const DNS_PORT = 10_053;

export interface RehearsalOptions {
  runtime: Runtime;
  cache: RuntimeCache;
  pool: SandboxPool;
  dockerVersion: string;
  log: Log;
  run: RunCommand;
}

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: NODE, namespace: NODE, uid: UID, resourceVersion: "1" },
  spec: {
    nodeName: NODE,
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: "c",
        image: "drydock.local/busybox:1",
        command: ["true"],
        envFrom: [{ configMapRef: { name: "c" } }],
        volumeMounts: [{ name: "v", mountPath: "/v" }],
      },
    ],
    volumes: [{ name: "v", configMap: { name: "c" } }],
  },
};
const collections: Record<string, object[]> = {
  networkpolicies: [],
  pods: [pod],
  nodes: [
    {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: NODE, resourceVersion: "1" },
      spec: { podCIDR: "10.244.255.0/24" },
    },
  ],
  services: [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "s", namespace: NODE, resourceVersion: "1" },
      spec: { clusterIP: "10.96.255.1", ports: [{ port: 80 }] },
    },
  ],
  endpointslices: [
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "s-1", namespace: NODE, resourceVersion: "1", labels: { "kubernetes.io/service-name": "s" } },
      addressType: "IPv4",
      ports: [{ port: 80, protocol: "TCP" }],
      endpoints: [{ addresses: ["10.244.255.9"] }],
    },
  ],
};

/** Answers as much as a node asks on its way. `patched` hears of the Pod's statuses. */
function pretendServer(certificate: string, key: string, patched: (status: { phase?: string }) => void): Server {
  return createServer({ cert: certificate, key }, (request, response) => void answer(request, response));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const url = new URL(request.url ?? "/", "https://127.0.0.1");
    const sent = body ? (JSON.parse(body) as { kind?: string; metadata?: object; status?: { phase?: string } }) : {};
    const parts = url.pathname.split("/");
    const resource = Object.keys(collections).find((name) => parts.includes(name));
    response.writeHead(200, { "Content-Type": "application/json" });
    if (url.searchParams.has("watch")) {
      const object = parts.includes("certificatesigningrequests") ? signed() : { metadata: { resourceVersion: "2" } };
      return void response.write(
        `${JSON.stringify({ type: parts.includes("certificatesigningrequests") ? "MODIFIED" : "BOOKMARK", object })}\n`,
      );
    }
    if (request.method === "PATCH" && resource === "pods") patched(sent.status ?? {});
    if (request.method === "POST")
      return void response.end(
        JSON.stringify({ ...sent, metadata: { name: "x", resourceVersion: "1", ...sent.metadata } }),
      );
    if (request.method === "GET" && resource && !url.pathname.endsWith(NODE))
      return void response.end(JSON.stringify({ metadata: { resourceVersion: "1" }, items: collections[resource] }));
    if (request.method === "GET" && parts.includes("configmaps"))
      return void response.end(JSON.stringify({ metadata: {}, data: { a: "b" } }));
    response.end(JSON.stringify({ metadata: { resourceVersion: "2" }, ...sent }));
  }

  function signed(): object {
    return {
      metadata: { name: "x", resourceVersion: "2" },
      status: { certificate: Buffer.from(certificate).toString("base64") },
    };
  }
}

export async function rehearse(options: RehearsalOptions): Promise<void> {
  const { runtime, cache, pool, dockerVersion, log, run } = options;
  const begin = performance.now();
  const key = newPrivateKey();
  const certificate = selfSigned(`system:node:${NODE}`, key);
  const finished = Promise.withResolvers<void>();
  const server = pretendServer(certificate, key, ({ phase }) => {
    if (phase === "Succeeded" || phase === "Failed") finished.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const life = new AbortController();
  const quiet = new Log(() => undefined);
  const identity: NodeIdentity = {
    clusterName: NODE,
    nodeName: NODE,
    role: "worker",
    address: "127.0.0.1",
    prefixLength: 8,
    apiServer: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caCertificate: certificate,
    bootstrapToken: "rehear.sal",
    clusterCIDR: "10.244.0.0/16",
    serviceCIDR: "10.96.0.0/16",
    clusterDNS: "10.96.0.10",
    clusterDomain: "cluster.local",
    labels: {},
    taints: [],
    unixMillis: 0,
    entropy: "",
  };
  // The programs are started, so that they are in memory, but nothing is changed by them.
  const harmless: RunCommand = async (command, args, { input } = {}) => {
    if (command === "nft") return run("nft", ["-c", "-f", "-"], { input: input ?? "" });
    if (command === "nsenter") return run("nsenter", ["-t", String(process.pid), "-n", "ip", "link", "show", "lo"]);
    if (command === "ip") await run("ip", ["link", "show", "lo"]);
    return args.includes("-j") ? "[]" : "";
  };
  await mkdir(FOLDER, { recursive: true });
  try {
    const agent = new NodeAgent({
      reachRegistry: () => Promise.resolve(),
      identity,
      runtime,
      cache,
      pool,
      dockerVersion,
      stateFolder: FOLDER,
      memoryFolder: `${FOLDER}/memory`,
      log: quiet,
      run: harmless,
      fresh: true,
      networkReady: Promise.resolve(),
      enter: () => undefined,
      failed: (code, message) => quiet.info("error", `${code}: ${message}`),
      signal: life.signal,
      newKey: () => key,
      ports: { kubelet: 0, dns: DNS_PORT, dnsAddress: "127.0.0.1" },
    });
    const inTime = sleep(DEADLINE, life.signal).then(() => {
      throw new Error(`not through within ${DEADLINE / 1000} s`);
    });
    inTime.catch(() => undefined);
    await Promise.race([agent.join().then(() => agent.ready()), inTime]);
    await Promise.race([finished.promise, inTime]);
    await askDns();
  } finally {
    life.abort();
    server.closeAllConnections();
    server.close();
    pool.onFilled = undefined;
    for (const container of cache.all()) {
      if (container.name?.uid !== UID) continue;
      await runtime.remove(container.id);
      await cache.refresh(container.id);
    }
    await rm(FOLDER, { recursive: true, force: true });
    for (const line of quiet
      .last(200)
      .filter((text) => text.includes("rror"))
      .slice(0, 5))
      log.info("rehearsal", line);
  }
  log.info("rehearsal", `${Math.round(performance.now() - begin)} ms`);
}

async function askDns(): Promise<void> {
  const socket = createSocket("udp4");
  const answered = new Promise<void>((resolve) => socket.once("message", () => resolve()));
  socket.send(
    encode({ type: "query", id: 1, flags: 256, questions: [{ type: "A", name: `s.${NODE}.svc.cluster.local` }] }),
    DNS_PORT,
    "127.0.0.1",
  );
  await Promise.race([answered, sleep(3000)]);
  socket.close();
}
