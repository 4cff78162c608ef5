/** All clusters, live, and what is being done to them. */
import { defineStore } from "pinia";
import { computed, shallowReactive, shallowRef } from "vue";
import type { ClusterPlanInput, ClusterSummary, NodeShapeChange, Operation } from "../../common/contract/index.ts";
import { useEngine } from "./engine.ts";

export const useClusters = defineStore("clusters", () => {
  const engine = useEngine();
  const list = shallowRef<ClusterSummary[]>([]);
  const loaded = shallowRef(false);
  /** By operation id, live while followed. */
  const operations = shallowReactive(new Map<string, Operation>());
  const followed = new Set<string>();

  engine.subscribe({
    open: (client, signal) => client.clusters.watch(undefined, { signal }),
    next: (clusters: ClusterSummary[]) => {
      list.value = clusters;
      loaded.value = true;
      // Something is under way that this window did not begin: find out what.
      if (clusters.some((cluster) => isBusy(cluster.state) && !runningFor(cluster.name))) void findOperations();
    },
  });

  async function findOperations(): Promise<void> {
    const client = await engine.client();
    for (const operation of await client.operations.list()) {
      if (operation.state === "running" || !operations.has(operation.id)) follow(operation);
    }
  }

  function follow(operation: Operation): void {
    operations.set(operation.id, operation);
    if (followed.has(operation.id) || operation.state !== "running") return;
    followed.add(operation.id);
    engine.subscribe({
      open: (client, signal) => client.operations.watch({ id: operation.id }, { signal }),
      next: (value: Operation) => operations.set(value.id, value),
      ended: () => followed.delete(operation.id),
      failed: () => {
        // The engine forgot it (it was started anew): the cluster's own state tells the rest.
        operations.delete(operation.id);
        followed.delete(operation.id);
        return "stop";
      },
    });
  }

  function runningFor(cluster: string): Operation | undefined {
    return [...operations.values()].findLast((entry) => entry.cluster === cluster && entry.state === "running");
  }

  async function begin(
    call: (client: Awaited<ReturnType<typeof engine.client>>) => Promise<Operation>,
  ): Promise<Operation> {
    const operation = await call(await engine.client());
    follow(operation);
    return operation;
  }

  return {
    list: computed(() => list.value),
    loaded: computed(() => loaded.value),
    operations,
    named: (name: string) => list.value.find((cluster) => cluster.name === name),
    runningFor,
    /** The newest operation of a cluster, running or over. */
    latestFor: (cluster: string) => [...operations.values()].findLast((entry) => entry.cluster === cluster),
    findOperations,
    create: (plan: ClusterPlanInput) => begin((client) => client.clusters.create(plan)),
    start: (cluster: string) => begin((client) => client.clusters.start({ cluster })),
    stop: (cluster: string) => begin((client) => client.clusters.stop({ cluster })),
    remove: (cluster: string) => begin((client) => client.clusters.delete({ cluster })),
    startNode: (cluster: string, node: string) => begin((client) => client.nodes.start({ cluster, node })),
    stopNode: (cluster: string, node: string, force: boolean) =>
      begin((client) => client.nodes.stop({ cluster, node, force })),
    addNodes: (cluster: string, count: number, shape: NodeShapeChange) =>
      begin((client) => client.nodes.add({ cluster, count, ...shape })),
    removeNode: (cluster: string, node: string, force: boolean) =>
      begin((client) => client.nodes.remove({ cluster, node, force })),
    setNode: (cluster: string, node: string, change: NodeShapeChange, restart: boolean) =>
      begin((client) => client.nodes.set({ cluster, node, ...change, restart })),
    pullImage: (cluster: string, image: string, nodes: string[]) =>
      begin((client) => client.images.pull({ cluster, image, nodes })),
    buildImage: (rebuild: boolean) => begin((client) => client.images.build({ rebuild })),
    cancel: async (id: string) => (await engine.client()).operations.cancel({ id }),
  };
});

export function isBusy(state: ClusterSummary["state"]): boolean {
  return state === "creating" || state === "starting" || state === "stopping" || state === "deleting";
}

/** True when its API server can be asked. */
export function isUp(state: ClusterSummary["state"]): boolean {
  return state === "running" || state === "degraded";
}
