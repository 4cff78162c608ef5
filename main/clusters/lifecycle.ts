/**
 * The long operations on a cluster, each as its declared steps and the work behind them: create, start,
 * stop, delete, and the start and stop of one node. What fails or is cancelled half-way in `create` is
 * undone; the others leave what was there.
 */
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import type { AgentStage } from "../../common/node/identity.ts";
import type { Cluster } from "./cluster.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { fail, toFailure } from "./failure.ts";
import type { NodeShape } from "./node-shape.ts";
import { untilKubeletAnswers } from "./kubelet-api.ts";
import type { OperationRun, StepContext, StepPlan } from "./operation.ts";
import { unmergeKubeconfig } from "./kubeconfig.ts";

const SECOND = 1000;
/** A boot under emulation on a busy computer takes a few minutes at worst. */
const ANSWER_MINUTES = 8;
export const MINUTE = 60 * SECOND;
const HERE = "This computer";
const CONTROL_PLANE = "Control plane";

/** The agent has registered its Node when it reaches one of these. */
const REGISTERED: ReadonlySet<AgentStage> = new Set(["ready"]);

const STAGES: Partial<Record<AgentStage, string>> = {
  booting: "starting the system",
  docker: "starting Docker",
  images: "loading images",
  "awaiting-identity": "waiting for its identity",
  identity: "becoming itself",
  network: "setting up its network",
  certificate: "asking for its certificate",
  registering: "registering with the API server",
  ready: "registered",
};

export interface Members {
  /** `before`: how it ended last time; absent for a new one. */
  nodes: { name: string; before?: "suspended" | "stopped" }[];
  containers: boolean;
  templates: boolean;
}

export function nodeSteps({ nodes, containers, templates }: Members): StepPlan[] {
  return nodes.flatMap(({ name, before }) => [
    {
      id: `${name}:machine`,
      kind: `machine-${before === "suspended" ? "resume" : before === undefined && templates ? "clone" : "boot"}`,
      title: `Start ${name}`,
      group: name,
      deadlineMillis: 10 * MINUTE,
    },
    ...(containers
      ? [
          {
            id: `${name}:join`,
            kind: before === undefined ? "node-join" : `node-return-${before}`,
            title: `${name} joins the cluster`,
            group: name,
            deadlineMillis: 10 * MINUTE,
          },
        ]
      : []),
    { id: `${name}:ready`, kind: "node-ready", title: `${name} is Ready`, group: name, deadlineMillis: 10 * MINUTE },
  ]);
}

const controlPlaneStep: StepPlan = {
  id: "control-plane",
  kind: "control-plane",
  title: "Start the control plane",
  group: CONTROL_PLANE,
  deadlineMillis: 2 * MINUTE,
};

export const imageStep: StepPlan = {
  id: "image",
  kind: "image",
  title: "Prepare the node image and template",
  group: "Image",
  deadlineMillis: 40 * MINUTE,
};

export function createSteps(members: Members): StepPlan[] {
  return [
    { id: "check", kind: "check", title: "Check this computer", group: HERE, deadlineMillis: 3 * MINUTE },
    ...(members.containers ? [imageStep] : []),
    controlPlaneStep,
    ...nodeSteps(members),
  ];
}

export function startSteps(members: Members): StepPlan[] {
  return [controlPlaneStep, ...nodeSteps(members)];
}

export function stopSteps({ nodes }: Pick<Members, "nodes">, suspend: boolean): StepPlan[] {
  return [
    ...nodes.map(({ name }) => ({
      id: `${name}:stop`,
      kind: suspend ? "machine-suspend" : "machine-stop",
      title: suspend ? `Suspend ${name}` : `Shut down ${name}`,
      group: name,
      deadlineMillis: 10 * MINUTE,
    })),
    {
      id: "control-plane-stop",
      kind: "control-plane-stop",
      title: "Stop the control plane",
      group: CONTROL_PLANE,
      deadlineMillis: MINUTE,
    },
  ];
}

export function deleteSteps({ nodes }: Pick<Members, "nodes">): StepPlan[] {
  return [
    ...nodes.map(({ name }) => ({
      id: `${name}:delete`,
      kind: "machine-delete",
      title: `Delete ${name}`,
      group: name,
      deadlineMillis: 2 * MINUTE,
    })),
    {
      id: "control-plane-stop",
      kind: "control-plane-stop",
      title: "Stop the control plane",
      group: CONTROL_PLANE,
      deadlineMillis: MINUTE,
    },
    { id: "files", kind: "files", title: "Remove its files", group: HERE, deadlineMillis: 2 * MINUTE },
  ];
}

export function nodeStopSteps(name: string): StepPlan[] {
  return [
    { id: `${name}:stop`, kind: "machine-stop", title: `Shut down ${name}`, group: name, deadlineMillis: 10 * MINUTE },
  ];
}

export function membersOf(cluster: Cluster, nodes: ClusterNode[] = cluster.nodes): Members {
  const { containers, templates } = cluster.driver.features();
  const before = (node: ClusterNode): Pick<Members["nodes"][number], "before"> =>
    node.record.joined ? { before: node.suspended ? "suspended" : "stopped" } : {};
  return { nodes: nodes.map((node) => ({ name: node.name, ...before(node) })), containers, templates };
}

/** `check` measures this computer again and throws what stands against the plan; the record is written after it. */
export async function runCreate(
  cluster: Cluster,
  run: OperationRun,
  check: (context: StepContext) => Promise<void>,
): Promise<void> {
  cluster.activity = "creating";
  try {
    await run.step("check", check);
    await cluster.save();
    const image = cluster.driver.features().containers
      ? run.step("image", (context) => prepare(cluster, context))
      : Promise.resolve();
    const controlPlane = run.step("control-plane", (context) => cluster.startControlPlane(context.log, context.signal));
    await together(run, [
      controlPlane,
      ...cluster.nodes.map(async (node) => {
        await image;
        await bringUp(cluster, node, run, controlPlane);
      }),
    ]);
    cluster.record.phase = "running";
    await cluster.save();
  } catch (error) {
    await run.abandon(error);
    await removeEverything(cluster);
    run.forgetLogs(cluster.folder);
    throw error;
  } finally {
    cluster.activity = undefined;
  }
}

/** When the user left the choice to us, an accelerator that lets a guest hang is given up for emulation. */
export async function prepare(
  cluster: Cluster,
  context: StepContext,
  shape: NodeShape = cluster.record.plan,
): Promise<void> {
  const { plan, accelerator } = cluster.record;
  const { cpus, memoryMiB, diskGiB } = shape;
  const chosen = accelerator === "none" ? "tcg" : accelerator;
  try {
    await cluster.driver.prepare({ cpus, memoryMiB, diskGiB, accelerator: chosen }, context, context.signal);
  } catch (error) {
    const hung = ["AGENT_SILENT", "QEMU_FAILED", "ACCELERATOR_UNUSABLE"].includes(toFailure(error).code);
    if (context.signal.aborted || !hung || plan.accelerator !== "auto" || chosen === "tcg") throw error;
    context.log(`${chosen} does not carry a node (${toFailure(error).message}): going on with emulation`);
    cluster.record.accelerator = "tcg";
    await cluster.driver.prepare({ cpus, memoryMiB, diskGiB, accelerator: "tcg" }, context, context.signal);
  }
}

/** Also brings back a degraded cluster: what runs already is left alone. */
export async function runStart(cluster: Cluster, run: OperationRun, nodes: ClusterNode[]): Promise<void> {
  cluster.activity = "starting";
  cluster.failure = undefined;
  const { phase } = cluster.record;
  try {
    // Wanted from now on: whatever happens to this engine, the next one takes up what has started.
    cluster.record.phase = "running";
    await cluster.save();
    const controlPlane = run.step("control-plane", (context) => cluster.startControlPlane(context.log, context.signal));
    await together(run, [controlPlane, ...nodes.map((node) => bringUp(cluster, node, run, controlPlane))]);
    for (const node of nodes) node.record.stopped = false;
    await cluster.save();
  } catch (error) {
    await run.abandon(error);
    // Machines that came up stay up if the cluster was running before; else everything is as it was.
    if (phase === "stopped") {
      await stopAll(cluster);
      cluster.record.phase = "stopped";
      await cluster.save();
    }
    throw error;
  } finally {
    cluster.activity = undefined;
  }
}

export async function runStop(cluster: Cluster, run: OperationRun, suspend: boolean): Promise<void> {
  cluster.activity = "stopping";
  try {
    await together(
      run,
      cluster.nodes.map((node) => {
        if (!node.machine) {
          run.skip(`${node.name}:stop`, "does not run");
          return Promise.resolve();
        }
        return run.step(`${node.name}:stop`, (context) => takeDown(cluster, node, context, suspend));
      }),
    );
    await run.step("control-plane-stop", () => cluster.stopControlPlane());
    cluster.record.phase = "stopped";
    await cluster.save();
  } catch (error) {
    await run.abandon(error);
    throw error;
  } finally {
    cluster.activity = undefined;
  }
}

/** Resolves when no process, socket or file of the cluster is left. */
export async function runDelete(cluster: Cluster, run: OperationRun): Promise<void> {
  cluster.activity = "deleting";
  try {
    // From here on there is no way back, whatever happens to this engine.
    cluster.record.phase = "deleting";
    await cluster.save();
    await together(
      run,
      cluster.nodes.map((node) => run.step(`${node.name}:delete`, () => destroy(cluster, node))),
    );
    await run.step("control-plane-stop", () => cluster.stopControlPlane());
    await run.step("files", async (context) => {
      if (cluster.record.trusted) await distrust(cluster, context);
      await removeFiles(cluster);
    });
  } catch (error) {
    await run.abandon(error);
    throw error;
  } finally {
    cluster.activity = undefined;
  }
}

export async function runNodeStop(
  cluster: Cluster,
  node: ClusterNode,
  run: OperationRun,
  force: boolean,
): Promise<void> {
  await run.step(`${node.name}:stop`, async (context) => {
    if (node.machine) {
      node.activity = "stopping";
      try {
        context.detail(force ? "switching it off" : "stopping its Pods, then the machine");
        await cluster.driver.stop(node.machine, { gracePeriodSeconds: 30, force, leaving: true });
      } finally {
        node.activity = undefined;
      }
    }
    node.failure = undefined;
  });
  node.record.stopped = true;
  await cluster.save();
  cluster.machinesChanged();
}

/** Undoes a creation: nothing of the cluster is left. */
export async function removeEverything(cluster: Cluster): Promise<void> {
  for (const node of cluster.nodes) await destroy(cluster, node);
  await cluster.stopControlPlane();
  await removeFiles(cluster);
}

/** Starts (or resumes) one node and waits until it is Ready. */
export async function bringUp(
  cluster: Cluster,
  node: ClusterNode,
  run: OperationRun,
  controlPlane: Promise<void>,
): Promise<void> {
  const { containers } = cluster.driver.features();
  const resumed = node.record.joined;
  if (node.running()) run.skip(`${node.name}:machine`, "runs already");
  else await run.step(`${node.name}:machine`, (context) => startMachine(cluster, node, context));
  await controlPlane;
  if (containers) {
    await run.step(`${node.name}:join`, async (context) => {
      await answered(cluster, node, context.signal);
      if (resumed) await node.setClock();
      await node.untilStage(REGISTERED, context.signal, (stage) => context.detail(STAGES[stage] ?? stage));
      if (!node.record.joined) {
        node.record.joined = true;
        await cluster.save();
      }
      await cluster.dropToken(node);
    });
  }
  await run.step(`${node.name}:ready`, async (context) => {
    await node.untilReady(context.signal);
    // Ready for Pods a moment before it serves logs and shells: whoever is told "up" may open one at once.
    if (cluster.driver.features().containers) await untilKubeletAnswers(cluster.kubelet(node), context.signal);
    node.record.joined = true;
  });
  cluster.machinesChanged();
}

/** Throws AGENT_SILENT, with the console's last lines, when the agent has not said a word in time. */
async function answered(cluster: Cluster, node: ClusterNode, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(ANSWER_MINUTES * MINUTE);
  try {
    await node.untilAnswers(AbortSignal.any([signal, deadline]));
  } catch (error) {
    if (signal.aborted || !deadline.aborted) throw error;
    const lastLines: string[] = [];
    for await (const line of cluster.driver.console(node.spec, { lines: 10, follow: false })) lastLines.push(line);
    const message = `the agent of ${node.name} has not said a word in ${ANSWER_MINUTES} minutes`;
    throw fail("AGENT_SILENT", message, { lastLines, cause: error });
  }
}

async function startMachine(cluster: Cluster, node: ClusterNode, context: StepContext): Promise<void> {
  node.activity = "starting";
  node.failure = undefined;
  try {
    const left = await cluster.driver.adopt(node.spec);
    const spec = node.nextSpec;
    if (!left && !node.record.joined) await cluster.driver.create(spec, context, context.signal);
    const machine = left ?? (await cluster.driver.start(spec, context, context.signal));
    if (!left) node.record.runs = { cpus: spec.cpus, memoryMiB: spec.memoryMiB, diskGiB: spec.diskGiB };
    node.activity = undefined;
    node.attach(machine);
    // Cancelled while the driver could not be interrupted: the clean-up must find the machine.
    if (context.signal.aborted) throw context.signal.reason as Error;
  } finally {
    node.activity = undefined;
  }
}

async function takeDown(cluster: Cluster, node: ClusterNode, context: StepContext, suspend: boolean): Promise<void> {
  const { machine } = node;
  if (!machine) return;
  node.activity = "stopping";
  try {
    if (suspend && node.stage === "ready") {
      try {
        await cluster.driver.suspend(machine, context);
        node.release();
        node.suspended = true;
        return;
      } catch (error) {
        context.log(
          `it could not be suspended, so it is shut down: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
    await cluster.driver.stop(machine, { gracePeriodSeconds: 30 });
    node.release();
  } finally {
    node.activity = undefined;
  }
}

/** After a failed start: machines off, control plane off, nothing removed. */
async function stopAll(cluster: Cluster): Promise<void> {
  await Promise.allSettled(
    cluster.nodes.map((node) =>
      node.machine ? cluster.driver.stop(node.machine, { gracePeriodSeconds: 10 }) : Promise.resolve(),
    ),
  );
  for (const node of cluster.nodes) node.release();
  await cluster.stopControlPlane();
}

export async function destroy(cluster: Cluster, node: ClusterNode): Promise<void> {
  const { spec } = node;
  const machine = node.machine ?? (await cluster.driver.adopt(spec));
  if (machine) await cluster.driver.stop(machine, { gracePeriodSeconds: 0, force: true });
  node.release();
  await cluster.driver.delete(spec);
}

/** An authority whose cluster is gone is trusted by nobody any more; what takes root is told. */
async function distrust(cluster: Cluster, context: StepContext): Promise<void> {
  try {
    const { left } = await cluster.trust(true);
    for (const { store, why, commands } of left)
      context.log(`${store} still trusts it (${why}): ${commands.join(" && ")}`);
  } catch (error) {
    context.log(`its authority may still be trusted: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Out of the way at once by a rename, so that a half-removed folder is never taken for a cluster. */
async function removeFiles(cluster: Cluster): Promise<void> {
  const aside = path.join(
    path.dirname(cluster.folder),
    `.removed-${path.basename(cluster.folder)}-${process.pid}-${Date.now()}`,
  );
  try {
    await rename(cluster.folder, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw fail("FOLDER_UNSAFE", `${cluster.folder} cannot be removed: ${(error as Error).message}`, { cause: error });
  }
  await rm(aside, { recursive: true, force: true });
  const server = `https://127.0.0.1:${cluster.record.apiServerPort}`;
  for (const file of cluster.record.mergedInto) await unmergeKubeconfig(cluster.name, server, file);
}

/** All of them; the first failure stops the others before it is thrown. */
export async function together(run: OperationRun, works: Promise<void>[]): Promise<void> {
  try {
    await Promise.all(works);
  } catch (error) {
    await run.abandon(error);
    await Promise.allSettled(works);
    throw error;
  }
}
