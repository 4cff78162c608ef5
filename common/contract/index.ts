/**
 * The contract between windows or the command line and the engine: every call, its input, its output
 * and its errors. Implemented in main/engine; nobody reaches the engine otherwise.
 *
 * Streams are event iterators: they begin with the present state, so a client that reconnects needs
 * nothing else. Ending the iteration ends the work behind it.
 */
import { eventIterator, oc } from "@orpc/contract";
import * as z from "zod";
import { ClusterName, ClusterPlan, ClusterSummary, Finding, NodeShapeChange, TrustReport } from "./cluster.ts";
import { Failure } from "./failure.ts";
import { Operation } from "./progress.ts";
import { Settings, SystemInfo } from "./system.ts";

/** Every procedure may fail with FAILED, whose data is the whole typed failure. */
const base = oc.errors({ FAILED: { data: Failure } });
const cluster = z.object({ cluster: ClusterName });
const node = cluster.extend({ node: z.string().min(1) });

export const contract = {
  system: {
    info: base.output(SystemInfo),
    /** Findings for a plan against this computer; cheap enough for each keystroke. */
    check: base.input(z.looseObject({})).output(z.array(Finding)),
    settings: base.output(Settings),
    updateSettings: base.input(Settings.partial()).output(Settings),
    /** Lines of the engine's own log, the last ones first sent, then live when `follow`. */
    logs: base
      .input(z.object({ lines: z.int().min(0).max(10000).default(200), follow: z.boolean().default(false) }))
      .output(eventIterator(z.string())),
    /** A link that opens the windows in a browser of this computer; it works once. */
    openUi: base.output(z.object({ url: z.string() })),
    stopEngine: base.input(z.object({ stopClusters: z.boolean().default(true) })).output(z.void()),
  },
  clusters: {
    /** All clusters now, then again after each change (at most about ten times a second). */
    watch: base.output(eventIterator(z.array(ClusterSummary))),
    list: base.output(z.array(ClusterSummary)),
    get: base.input(cluster).output(ClusterSummary),
    /** Begins creating; follow it with operations.watch. */
    create: base.input(ClusterPlan).output(Operation),
    start: base.input(cluster).output(Operation),
    stop: base.input(cluster).output(Operation),
    delete: base.input(cluster).output(Operation),
    /** Makes this computer trust the cluster's authority, so that browsers do not warn; or takes that back. */
    trust: base.input(cluster.extend({ undo: z.boolean().default(false) })).output(TrustReport),
    /** Its path; with `merge` the user's own file (or `file`) after the context was put into it. */
    kubeconfig: base
      .input(cluster.extend({ merge: z.boolean().default(false), file: z.string().optional() }))
      .output(z.object({ path: z.string(), context: z.string() })),
  },
  nodes: {
    start: base.input(node).output(Operation),
    stop: base.input(node.extend({ force: z.boolean().default(false) })).output(Operation),
    /** Workers that join the running cluster; of the plan's shape where nothing else is said. */
    add: base
      .input(cluster.extend({ count: z.int().min(1).max(20).default(1), ...NodeShapeChange.shape }))
      .output(Operation),
    /** Cordons and drains a worker, then deletes its Node and its machine. `force`: without draining. */
    remove: base
      .input(node.extend({ force: z.boolean().default(false), timeoutSeconds: z.int().min(1).max(86400).default(300) }))
      .output(Operation),
    /** CPUs and memory from its next start on (`restart`: now), the disk at once where the machine can. */
    set: base.input(node.extend({ ...NodeShapeChange.shape, restart: z.boolean().default(false) })).output(Operation),
    /** A socket of this computer that leads to the node's Docker, e.g. "unix:///run/user/1000/…/docker-1a2b.sock". */
    docker: base.input(node).output(z.object({ host: z.string() })),
    /** The machine's console (source "console") or the agent's log (source "agent"). */
    logs: base
      .input(
        node.extend({
          source: z.enum(["console", "agent"]).default("agent"),
          lines: z.int().min(0).max(10000).default(200),
          follow: z.boolean().default(false),
        }),
      )
      .output(eventIterator(z.string())),
  },
  operations: {
    list: base.output(z.array(Operation)),
    /** The operation now, then after each change, until it has ended. */
    watch: base.input(z.object({ id: z.string() })).output(eventIterator(Operation)),
    cancel: base.input(z.object({ id: z.string() })).output(z.void()),
    /** A step's log so far, then live until the step has ended. */
    stepLog: base.input(z.object({ id: z.string(), step: z.string() })).output(eventIterator(z.string())),
  },
  kube: {
    /** One request to the cluster's API server as its administrator. Status errors come back as status and body, not as FAILED. */
    request: base
      .input(
        cluster.extend({
          method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE"]),
          /** Path and query, e.g. /api/v1/namespaces/default/pods?limit=500 */
          path: z.string().startsWith("/"),
          headers: z.record(z.string(), z.string()).default({}),
          body: z.string().optional(),
        }),
      )
      .output(z.object({ status: z.int(), headers: z.record(z.string(), z.string()), body: z.string() })),
    /** The same for endless answers (watch, logs?follow): the head first, then the body in pieces of text. */
    stream: base
      .input(
        cluster.extend({ path: z.string().startsWith("/"), headers: z.record(z.string(), z.string()).default({}) }),
      )
      .output(
        eventIterator(
          z.union([
            z.object({ status: z.int(), headers: z.record(z.string(), z.string()) }),
            z.object({ chunk: z.string() }),
          ]),
        ),
      ),
  },
  terminals: {
    /**
     * Opens a terminal; the first event names it, then data (text) until exit. Ending the iteration closes it. A command on a
     * node may do without a terminal: then its two outputs come as `output` events, bytes in base64.
     */
    open: base
      .input(
        cluster.extend({
          target: z.union([
            z.object({
              kind: z.literal("container"),
              namespace: z.string(),
              pod: z.string(),
              container: z.string(),
              command: z.array(z.string()).min(1),
            }),
            z.object({
              kind: z.literal("node"),
              node: z.string(),
              /** In place of a login shell. */
              command: z.array(z.string()).min(1).optional(),
              terminal: z.boolean().default(true),
            }),
            /** A shell of this computer with KUBECONFIG set to the cluster. */
            z.object({ kind: z.literal("host") }),
          ]),
          columns: z.int().min(1).max(1000),
          rows: z.int().min(1).max(1000),
        }),
      )
      .output(
        eventIterator(
          z.discriminatedUnion("type", [
            z.object({ type: z.literal("opened"), terminal: z.string() }),
            z.object({ type: z.literal("data"), data: z.string() }),
            z.object({ type: z.literal("output"), stream: z.enum(["stdout", "stderr"]), base64: z.string() }),
            z.object({ type: z.literal("exit"), code: z.int(), message: z.string().optional() }),
          ]),
        ),
      ),
    /** Text, or bytes in base64. Answered when the node has room for more. */
    write: base
      .input(z.object({ terminal: z.string(), data: z.string(), encoding: z.enum(["utf8", "base64"]).default("utf8") }))
      .output(z.void()),
    /** The end of the input of a command without a terminal. */
    end: base.input(z.object({ terminal: z.string() })).output(z.void()),
    resize: base
      .input(z.object({ terminal: z.string(), columns: z.int().min(1).max(1000), rows: z.int().min(1).max(1000) }))
      .output(z.void()),
    close: base.input(z.object({ terminal: z.string() })).output(z.void()),
  },
  tunnels: {
    list: base.output(
      z.array(
        z.object({
          id: z.string(),
          cluster: z.string(),
          namespace: z.string(),
          service: z.string(),
          port: z.int(),
          url: z.string(),
        }),
      ),
    ),
    open: base
      .input(
        cluster.extend({
          namespace: z.string().default("default"),
          service: z.string(),
          port: z.union([z.int(), z.string()]).optional(),
          hostPort: z.int().min(0).max(65535).default(0),
        }),
      )
      .output(z.object({ id: z.string(), url: z.string(), hostPort: z.int() })),
    close: base.input(z.object({ id: z.string() })).output(z.void()),
  },
  images: {
    /** Builds the node image when it is missing (or again, when `rebuild`). */
    build: base.input(z.object({ rebuild: z.boolean().default(false) })).output(Operation),
    list: base
      .input(cluster)
      .output(z.array(z.object({ node: z.string(), names: z.array(z.string()), bytes: z.number() }))),
    /** Loads an archive made by `docker save` from this computer into every node. */
    load: base
      .input(cluster.extend({ file: z.string() }))
      .output(z.array(z.object({ node: z.string(), loaded: z.array(z.string()) }))),
    /** Onto the named nodes, or onto all. Credentials for its registry are used once and not kept. */
    pull: base
      .input(
        cluster.extend({
          image: z.string().min(1),
          nodes: z.array(z.string()).default([]),
          credentials: z.object({ username: z.string(), password: z.string() }).optional(),
        }),
      )
      .output(Operation),
    /** To its registry, from a node that has it. Credentials are used once and not kept. */
    push: base
      .input(
        cluster.extend({
          image: z
            .string()
            .min(1)
            .refine((image) => !image.includes("@"), "an image is pushed by its tag, not by a digest"),
          node: z.string().optional(),
          credentials: z.object({ username: z.string(), password: z.string() }).optional(),
        }),
      )
      .output(Operation),
    /** Builds a Dockerfile of this computer with a node's Docker. `folder` is absolute. */
    buildContainer: base
      .input(
        cluster.extend({
          folder: z.string().min(1),
          dockerfile: z.string().default("Dockerfile"),
          tags: z.array(z.string().min(1)).min(1),
          args: z.record(z.string(), z.string()).default({}),
          target: z.string().optional(),
          noCache: z.boolean().default(false),
          node: z.string().optional(),
          spread: z.boolean().default(true),
        }),
      )
      .output(Operation),
    /** Removes what no container uses. */
    prune: base
      .input(cluster.extend({ nodes: z.array(z.string()).default([]) }))
      .output(z.array(z.object({ node: z.string(), removed: z.array(z.string()), bytes: z.number() }))),
    /** The cache that all nodes of all clusters pull through. */
    cache: base.output(
      z.object({
        bytes: z.number(),
        blobs: z.int(),
        limitBytes: z.number(),
        hits: z.int(),
        misses: z.int(),
        /** Where mirrors and credentials are set, and what is wrong with that file. */
        registriesFile: z.string(),
        problem: z.string().optional(),
      }),
    ),
    clearCache: base.output(z.object({ bytes: z.number() })),
  },
};

export type Contract = typeof contract;
export {
  ClusterName,
  ClusterPlan,
  ClusterSummary,
  ClusterState,
  NodeSummary,
  NodeShapeChange,
  HostMount,
  TrustReport,
  Finding,
  Driver,
  AcceleratorChoice,
} from "./cluster.ts";
export type { ClusterPlanInput } from "./cluster.ts";
export { Failure } from "./failure.ts";
export { Operation, Step } from "./progress.ts";
export { Settings, SystemInfo } from "./system.ts";
