/** Which nodes a cluster gets when it grows, and what a node's machine has and is to have. Pure. */
import type { ClusterPlan, NodeShapeChange } from "../../common/contract/cluster.ts";
import type { ClusterRecord, NodeRecord } from "./cluster-file.ts";
import { fail } from "./failure.ts";
import { nodeRecord } from "./plan.ts";

export interface NodeShape {
  cpus: number;
  memoryMiB: number;
  diskGiB: number;
}

const FIRST_WORKER = 21;
const LAST_ADDRESS = 254;

/** What its machine is started with. */
export function wantedShape(plan: ClusterPlan, { wanted }: Pick<NodeRecord, "wanted">): NodeShape {
  return {
    cpus: wanted.cpus ?? plan.cpus,
    memoryMiB: wanted.memoryMiB ?? plan.memoryMiB,
    diskGiB: wanted.diskGiB ?? plan.diskGiB,
  };
}

/** The wishes after a change. Throws NODE_REFUSED: nothing to change, or a disk that would shrink. */
export function changedShape(plan: ClusterPlan, record: NodeRecord, change: NodeShapeChange): NodeShapeChange {
  const given = Object.fromEntries(
    Object.entries(change).filter(([, value]) => value !== undefined),
  ) as NodeShapeChange;
  if (Object.keys(given).length === 0)
    throw fail("NODE_REFUSED", `nothing to change of ${record.name}`, { advice: "Say --cpus, --memory or --disk." });
  const has = Math.max(record.runs?.diskGiB ?? 0, wantedShape(plan, record).diskGiB);
  if (given.diskGiB !== undefined && given.diskGiB < has)
    throw fail("NODE_REFUSED", `the disk of ${record.name} has ${has} GiB; disks only grow`, {
      advice: `Choose ${has} GiB or more.`,
    });
  return { ...record.wanted, ...given };
}

/** The next workers: the lowest numbers and addresses that are free. Throws NODE_REFUSED when there is no address left. */
export function nextWorkers(record: ClusterRecord, count: number, shape: NodeShapeChange): NodeRecord[] {
  const names = new Set(record.nodes.map(({ name }) => name));
  const addresses = new Set(record.nodes.map(({ address }) => address));
  const made: NodeRecord[] = [];
  for (let number = 1; made.length < count; number++) {
    const name = `${record.name}-worker-${number}`;
    if (names.has(name)) continue;
    let last = FIRST_WORKER;
    while (addresses.has(`10.240.0.${last}`)) last++;
    if (last > LAST_ADDRESS) throw fail("NODE_REFUSED", `${record.name} has no address left for another node`);
    const address = `10.240.0.${last}`;
    names.add(name);
    addresses.add(address);
    made.push({ ...nodeRecord(name, "worker", address), wanted: shape });
  }
  return made;
}
