/**
 * A cluster grows, shrinks and changes while it runs: workers added from the template, one removed once its Pods have
 * left, a machine given other CPUs, memory or disk. What fails half-way in adding is undone; the others leave what was there.
 */
import type { NodeShapeChange } from "../../common/contract/cluster.ts";
import type { Cluster } from "./cluster.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { NodeRecord } from "./cluster-file.ts";
import { cordon, deleteNode, drain, refuseLoss } from "./drain.ts";
import { MINUTE, bringUp, destroy, imageStep, nodeSteps, prepare, together } from "./lifecycle.ts";
import type { Members } from "./lifecycle.ts";
import { changedShape, wantedShape } from "./node-shape.ts";
import type { OperationRun, StepContext, StepPlan } from "./operation.ts";

const CONTROL_PLANE = "control-plane-nodes";

export function nodeAddSteps(members: Members): StepPlan[] {
  return [
    { id: "check", kind: "check", title: "Check this computer", group: "This computer", deadlineMillis: 3 * MINUTE },
    members.containers
      ? imageStep
      : {
          id: CONTROL_PLANE,
          kind: CONTROL_PLANE,
          title: "Tell the control plane of its simulated nodes",
          group: "Control plane",
          deadlineMillis: 2 * MINUTE,
        },
    ...nodeSteps(members),
  ];
}

/** `check` throws what this computer has against it. */
export async function runNodeAdd(
  cluster: Cluster,
  records: NodeRecord[],
  run: OperationRun,
  check: (context: StepContext) => Promise<void>,
): Promise<void> {
  let nodes: ClusterNode[] = [];
  try {
    await run.step("check", check);
    if (cluster.driver.features().containers)
      await run.step("image", (context) =>
        prepare(cluster, context, wantedShape(cluster.record.plan, records[0] as NodeRecord)),
      );
    nodes = cluster.addNodes(records);
    await cluster.save();
    if (!cluster.driver.features().containers)
      await run.step(CONTROL_PLANE, (context) => cluster.renewSimulatedNodes(context.log, context.signal));
    await together(
      run,
      nodes.map((node) => bringUp(cluster, node, run, Promise.resolve())),
    );
    await cluster.save();
  } catch (error) {
    await run.abandon(error);
    for (const node of nodes) await removeNode(cluster, node);
    throw error;
  }
}

export function nodeRemoveSteps(name: string, timeoutSeconds: number): StepPlan[] {
  return [
    {
      id: `${name}:drain`,
      kind: "node-drain",
      title: `Move the Pods of ${name} elsewhere`,
      group: name,
      deadlineMillis: timeoutSeconds * 1000 + MINUTE,
    },
    { id: `${name}:stop`, kind: "machine-stop", title: `Shut down ${name}`, group: name, deadlineMillis: 10 * MINUTE },
    { id: `${name}:delete`, kind: "machine-delete", title: `Delete ${name}`, group: name, deadlineMillis: 2 * MINUTE },
  ];
}

export async function runNodeRemove(
  cluster: Cluster,
  node: ClusterNode,
  run: OperationRun,
  { force, timeoutSeconds }: { force: boolean; timeoutSeconds: number },
): Promise<void> {
  const api = cluster.running();
  const { name } = node;
  let cordoned = false;
  try {
    if (force) run.skip(`${name}:drain`, "not asked for");
    else {
      await run.step(`${name}:drain`, async (context) => {
        await refuseLoss(api, name);
        cordoned = (await cordon(api, name, true)) === false;
        await drain(api, name, context, timeoutSeconds);
      });
    }
    if (!node.machine) run.skip(`${name}:stop`, "does not run");
    else {
      await run.step(`${name}:stop`, async () => {
        node.activity = "stopping";
        try {
          if (node.machine)
            await cluster.driver.stop(node.machine, {
              gracePeriodSeconds: 30,
              force: force && !node.ready,
              leaving: true,
            });
        } finally {
          node.activity = undefined;
        }
      });
    }
    await run.step(`${name}:delete`, () => removeNode(cluster, node));
  } catch (error) {
    await run.abandon(error);
    // As it was, unless it was cordoned before; an API that is away has nothing to undo it with.
    if (cordoned && cluster.nodes.includes(node)) await cordon(api, name, false).catch(() => undefined);
    throw error;
  }
}

/** Out of the cluster's file before its files go: whatever happens, no node is left without its disk. */
async function removeNode(cluster: Cluster, node: ClusterNode): Promise<void> {
  await cluster.dropToken(node);
  const { driver } = cluster;
  const machine = node.machine ?? (await driver.adopt(node.spec));
  if (machine) await driver.stop(machine, { gracePeriodSeconds: 0, force: true });
  cluster.forgetNode(node);
  await cluster.save();
  // A simulated node registers again for as long as it is pretended.
  await cluster.renewSimulatedNodes(() => undefined);
  await deleteNode(cluster.running(), node.name);
  await destroy(cluster, node);
  cluster.machinesChanged();
}

export function nodeSetSteps(name: string, members: Members | undefined): StepPlan[] {
  return [
    { id: `${name}:set`, kind: "node-set", title: `Change ${name}`, group: name, deadlineMillis: 2 * MINUTE },
    ...(members
      ? [
          {
            id: `${name}:stop`,
            kind: "machine-stop",
            title: `Shut down ${name}`,
            group: name,
            deadlineMillis: 10 * MINUTE,
          },
          ...nodeSteps(members),
        ]
      : []),
  ];
}

/** The disk grows at once where it can; CPUs and memory wait for the next start, or for `restart`. */
export async function runNodeSet(
  cluster: Cluster,
  node: ClusterNode,
  run: OperationRun,
  change: NodeShapeChange,
  restart: boolean,
): Promise<void> {
  try {
    await run.step(`${node.name}:set`, async (context) => {
      const { record } = node;
      record.wanted = changedShape(cluster.record.plan, record, change);
      await cluster.save();
      const { diskGiB } = node.nextSpec;
      if (node.machine && record.runs && record.runs.diskGiB < diskGiB && cluster.driver.features().grow) {
        await cluster.driver.grow(node.machine, diskGiB);
        record.runs = { ...record.runs, diskGiB };
        context.log(`the disk has ${diskGiB} GiB now`);
        await cluster.save();
      }
      if (!node.machine) node.suspended = await cluster.driver.resumable(node.nextSpec);
    });
    if (!restart) return;
    if (!node.machine) run.skip(`${node.name}:stop`, "does not run");
    else {
      await run.step(`${node.name}:stop`, async () => {
        if (node.machine) await cluster.driver.stop(node.machine, { gracePeriodSeconds: 30 });
        node.release();
      });
    }
    await bringUp(cluster, node, run, Promise.resolve());
    await cluster.save();
  } catch (error) {
    await run.abandon(error);
    throw error;
  } finally {
    cluster.machinesChanged();
  }
}
