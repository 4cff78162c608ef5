/**
 * The agent: one process in each node that is its kubelet, service proxy and DNS. This file is its life: wait for Docker,
 * load the shipped images, get warm, say `awaiting-identity` (here the template is frozen), become the node the host names.
 */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { AgentMessage, AgentStage, HostMessage, NodeIdentity } from "../../common/node/identity.ts";
import { AGENT_PORT, IMAGE_PROXY_PORT } from "../../common/node/identity.ts";
import { runCommand as spawnCommand, sleep } from "./command.ts";
import { readJson, writeDurably } from "./durable.ts";
import { describeError, Log } from "./log.ts";
import { agePseudoRandomness, become, networkCommands, CLUSTER_MTU, setClock } from "./machine/become.ts";
import { HostFolders } from "./machine/host-folders.ts";
import { ImageProxyRelay } from "./machine/image-proxy.ts";
import { loadShippedImages } from "./machine/images.ts";
import { collectGarbage } from "./machine/memory.ts";
import { HostPort } from "./machine/port.ts";
import { HostSocket } from "./machine/socket.ts";
import { NodeAgent } from "./node-agent.ts";
import { DockerRuntime } from "./runtime/docker.ts";
import { RuntimeCache } from "./runtime/runtime-cache.ts";
import { SandboxPool } from "./kubelet/sandbox-pool.ts";
import { rehearse } from "./rehearsal.ts";
import { Shell } from "./shell.ts";

const AGENT_VERSION = "0.1.0";
const STATE = "/var/lib/drydock";
const SECRETS = "/run/drydock/pods";
const IDENTITY = `${STATE}/identity.json`;
/** In memory: present when an agent of this boot has joined before. */
const JOINED = "/run/drydock/joined";
/** A node that has booted again goes on with the identity it has when the host says nothing for this long. */
const IDENTITY_PATIENCE = 15_000;
/** Sandboxes held ready, where the node's OCI runtime can give containers that join one their own hostname. */
const POOL_SIZE = existsSync("/usr/lib/drydock/oci-runtime") ? 4 : 0;

/** Milliseconds; a node without its shared folders is better than none. */
const FOLDERS_PATIENCE = 60_000;

/** Milliseconds by which the node may differ from its host. */
const CLOCK_TOLERANCE = 500;

/** By then a new cluster's first Pods have started. */
const QUIET = 60_000;

const log = new Log();
/** Under Lima the host comes over SSH, and every node boots: there is no template whose clones would gain by what it does. */
const underLima = existsSync("/run/drydock/over-ssh");
const port = underLima ? new HostSocket("/run/drydock/agent.sock", log) : new HostPort(AGENT_PORT, log);
const hostFolders = new HostFolders(spawnCommand, log);
const imageProxy = new ImageProxyRelay(log);
const life = new AbortController();
const runCommand = new Shell().run;
let stage: AgentStage = "booting";
let identity: NodeIdentity | undefined;
let imageVersion = "unknown";
let agent: NodeAgent | undefined;
let stageBegan = performance.now();
const identityArrived = Promise.withResolvers<NodeIdentity>();

process.on("uncaughtException", (error) => fatal("uncaught", error));
process.on("unhandledRejection", (error) => fatal("unhandled", error));

/** Init starts the agent again; containers go on meanwhile. */
function fatal(what: string, error: unknown): void {
  log.info("agent", `${what}: ${error instanceof Error ? error.stack : String(error)}`);
  process.exit(1);
}

function enter(next: AgentStage, message?: string): void {
  const now = performance.now();
  log.info("stage", `${stage} took ${Math.round(now - stageBegan)} ms; now ${next}${message ? `: ${message}` : ""}`);
  stageBegan = now;
  stage = next;
  // The console shows how far a node has come even when nobody listens on the port.
  process.stdout.write(`drydock agent: ${next}${message ? ` (${message})` : ""}\n`);
  port.send({ type: "stage", stage, ...(message ? { message } : {}) });
  if (next === "awaiting-identity") port.send(hello());
}

function hello(): AgentMessage {
  return {
    type: "hello",
    agentVersion: AGENT_VERSION,
    imageVersion,
    stage,
    ...(identity ? { nodeName: identity.nodeName } : {}),
  };
}

function onMessage(message: HostMessage): void {
  switch (message.type) {
    case "ping":
      return port.send(hello());
    case "identity":
      return onIdentity(message.identity);
    case "clock":
      if (Math.abs(message.unixMillis - Date.now()) < CLOCK_TOLERANCE) return;
      void setClock(message.unixMillis, runCommand).then(
        () => log.info("clock", "set by the host"),
        (error: unknown) => log.error("clock", "not set", error),
      );
      return;
    case "shutdown":
      void shutdown(message.gracePeriodSeconds, message.leaving ?? false);
      return;
    case "image-proxy":
      void imageProxy.use(message.proxy).then(
        () => log.info("images", `the image cache is at ${message.proxy.address}`),
        (error: unknown) => log.error("images", "the image cache", error),
      );
      return;
    case "host-folders":
      void hostFolders.mount(message.folders);
      return;
    case "disk-grown":
      void growFileSystem();
      return;
    case "log":
      return port.send({ type: "log", lines: log.last(message.lines) });
  }
}

function onIdentity(received: NodeIdentity): void {
  if (!identity) return identityArrived.resolve(received);
  if (received.bootstrapToken) agent?.useToken(received.bootstrapToken);
  // The control plane moved to another port: begin anew with what is known, without touching a container.
  if (received.apiServer === identity.apiServer && received.caCertificate === identity.caCertificate) return;
  log.info("agent", `the API server is at ${received.apiServer} now`);
  void saveIdentity(received).then(
    () => process.exit(0),
    (error: unknown) => fatal("identity", error),
  );
}

async function saveIdentity(received: NodeIdentity): Promise<void> {
  // The randomness was for once, and the token is good for one request: neither is kept.
  await writeDurably(IDENTITY, JSON.stringify({ ...received, entropy: "", bootstrapToken: undefined }));
}

async function shutdown(graceSeconds: number, leaving: boolean): Promise<void> {
  if (stage === "stopping") return;
  enter("stopping");
  try {
    await agent?.shutdown(Math.max(0, graceSeconds), leaving);
  } catch (error) {
    log.error("agent", "shutdown", error);
  }
  await spawnCommand("sync", []).catch(() => undefined);
  await spawnCommand("poweroff", ["-f"]).catch((error: unknown) => log.error("agent", "poweroff", error));
}

async function waitForDocker(runtime: DockerRuntime): Promise<string> {
  for (let told = false; ; told = true) {
    try {
      return (await runtime.version()).version;
    } catch (error) {
      if (!told) log.info("docker", `not there yet (${describeError(error)})`);
      await sleep(200);
    }
  }
}

async function main(): Promise<void> {
  imageVersion = (await readFile("/run/drydock/agent/image-version", "utf8").catch(() => "unknown")).trim();
  port.run(onMessage, life.signal).catch((error: unknown) => fatal("port", error));
  // When the node itself runs out of memory, Pods go before the one that looks after them.
  await writeFile("/proc/self/oom_score_adj", "-999");
  void imageProxy
    .listen(IMAGE_PROXY_PORT)
    .catch((error: unknown) => log.error("images", "the way to registries", error));
  const kept = await readJson<NodeIdentity>(IDENTITY, (error) =>
    log.error("agent", "the kept identity is damaged: asking anew", error),
  );
  const again = kept !== undefined && existsSync(JOINED);

  enter("docker");
  const runtime = new DockerRuntime({ beforePull: (image) => imageProxy.reach(image) });
  const dockerVersion = await waitForDocker(runtime);
  enter("images");
  await loadShippedImages(runtime, log);
  const cache = new RuntimeCache(runtime, log);
  void cache.run(life.signal);
  await cache.relist();
  const pool = new SandboxPool(runtime, cache, log, POOL_SIZE);

  let received: NodeIdentity;
  if (again) {
    received = kept;
  } else {
    if (!kept && !underLima) {
      await pool.fill(1);
      await rehearse({ runtime, cache, pool, dockerVersion, log, run: runCommand }).catch((error: unknown) =>
        log.error("rehearsal", "failed", error),
      );
      // A node that boots again fills its pool once it is Ready: its own Pods come first.
      await pool.fill();
      await agePseudoRandomness(runCommand);
    }
    if (!kept) collectGarbage();
    enter("awaiting-identity");
    const patience = kept ? sleep(IDENTITY_PATIENCE).then(() => kept) : new Promise<never>(() => undefined);
    received = await Promise.race([identityArrived.promise, patience]);
  }
  identity = received;
  const begin = performance.now();
  enter("identity");
  if (!again) {
    const fresh = received !== kept;
    await become(
      { ...received, unixMillis: fresh ? received.unixMillis + (performance.now() - begin) : Date.now() },
      runCommand,
    );
  }
  // Brought to the disk beside the rest; joining waits for it.
  const saved = received === kept ? Promise.resolve() : saveIdentity(received);
  saved.catch((error: unknown) => fatal("identity", error));
  enter("network");
  const networkReady = again
    ? Promise.resolve()
    : runCommand("ip", ["-force", "-batch", "-"], { input: networkCommands(received, received.mtu ?? CLUSTER_MTU) });
  networkReady.catch((error: unknown) => fatal("network", error));
  agent = new NodeAgent({
    identity: received,
    runtime,
    cache,
    pool,
    dockerVersion,
    stateFolder: STATE,
    memoryFolder: SECRETS,
    log,
    run: runCommand,
    fresh: !kept,
    networkReady,
    reachRegistry: (image) => imageProxy.reach(image),
    enter,
    failed: (code, message) => port.send({ type: "failure", code, message }),
    signal: life.signal,
  });
  const foldersThere = hostFolders.mount(received.hostFolders ?? []);
  await agent.join();
  await saved;
  // A Pod that finds the bare mount point would write where nobody looks.
  await Promise.race([foldersThere, sleep(FOLDERS_PATIENCE)]);
  await writeFile(JOINED, "");
  await agent.ready();
  enter(
    "ready",
    `${((performance.now() - begin) / 1000).toFixed(2)} s after the identity, ${Math.round(process.memoryUsage().rss / 1048576)} MB`,
  );
  setTimeout(collectGarbage, QUIET).unref();
  // A larger disk than the image's is taken into use when nothing is waiting any more.
  await sleep(2000);
  if (!again) await growFileSystem();
}

/** The file system grows into what the disk has. */
async function growFileSystem(): Promise<void> {
  try {
    await spawnCommand("resize2fs", ["/dev/vda"], { deadline: 300_000 });
    log.info("disk", "file system grown");
    await agent?.lookAgain();
  } catch (error) {
    log.error("disk", "resize2fs", error);
  }
}

main().catch((error: unknown) => {
  port.send({
    type: "failure",
    code: "AGENT_FAILED",
    message: describeError(error),
    ...(error instanceof Error && error.stack ? { detail: error.stack } : {}),
  });
  log.info("agent", `failed: ${error instanceof Error ? error.stack : String(error)}`);
  // Time for the message to leave; then init begins anew.
  setTimeout(() => process.exit(1), 1000);
});
