/** Start, stop and delete a cluster or a node, with the consequences said before anything is done. */
import { shallowRef } from "vue";
import { useRouter } from "vue-router";
import type { Failure, NodeShapeChange, Operation } from "../../common/contract/index.ts";
import { useClusters } from "../stores/clusters.ts";
import { useConfirm } from "../stores/confirm.ts";
import { useToasts } from "../stores/toasts.ts";

export function useClusterActions(cluster: () => string) {
  const clusters = useClusters();
  const confirm = useConfirm();
  const toasts = useToasts();
  const router = useRouter();
  const busy = shallowRef(false);

  async function begin(title: string, call: () => Promise<Operation>, watch: boolean): Promise<void> {
    busy.value = true;
    await toasts.guard(title, async () => {
      const operation = await call();
      if (watch) await router.push({ name: "operation", params: { id: operation.id } });
    });
    busy.value = false;
  }

  const start = (): Promise<void> => begin("Could not start the cluster", () => clusters.start(cluster()), true);

  async function stop(): Promise<void> {
    const name = cluster();
    const answer = await confirm.ask({
      title: `Stop ${name}?`,
      consequences: [
        "Its Pods are ended in order, then its machines are switched off.",
        "Terminals, logs and tunnels into it are closed.",
      ],
      kept: ["Disks, objects and images stay. Starting brings back the same nodes and Pods."],
      action: "Stop cluster",
      danger: false,
    });
    if (answer.confirmed) await begin("Could not stop the cluster", () => clusters.stop(name), true);
  }

  async function remove(): Promise<void> {
    const name = cluster();
    const nodes = clusters.named(name)?.nodes.length ?? 0;
    const answer = await confirm.ask({
      title: `Delete ${name}?`,
      consequences: [
        `Its ${nodes} ${nodes === 1 ? "machine is" : "machines are"} switched off and their disks deleted.`,
        "Every object in it, every volume and every image loaded into it is gone. This cannot be undone.",
        "Its kubeconfig stops working.",
      ],
      kept: ["The node image stays, so the next cluster comes up as quickly."],
      action: "Delete cluster",
      danger: true,
    });
    if (answer.confirmed) await begin("Could not delete the cluster", () => clusters.remove(name), true);
  }

  async function stopNode(node: string): Promise<void> {
    const answer = await confirm.ask({
      title: `Stop ${node}?`,
      consequences: [
        "Its machine is switched off.",
        "The node becomes NotReady; after a while its Pods are replaced on other nodes.",
      ],
      kept: ["Its disk stays; it comes back as the same node."],
      action: "Stop node",
      danger: false,
      option: { label: "Pull the plug: do not let its Pods end in order", value: false },
    });
    if (answer.confirmed)
      await begin("Could not stop the node", () => clusters.stopNode(cluster(), node, answer.option), false);
  }

  const startNode = (node: string): Promise<void> =>
    begin("Could not start the node", () => clusters.startNode(cluster(), node), false);

  const addNodes = (count: number, shape: NodeShapeChange): Promise<void> =>
    begin("Could not add workers", () => clusters.addNodes(cluster(), count, shape), true);

  const setNode = (node: string, change: NodeShapeChange, restart: boolean): Promise<void> =>
    begin("Could not change the node", () => clusters.setNode(cluster(), node, change, restart), restart);

  async function removeNode(node: string): Promise<void> {
    const answer = await confirm.ask({
      title: `Remove ${node}?`,
      consequences: [
        "It takes no more Pods, and those it has move elsewhere as their disruption budgets allow.",
        "Then its Node, its machine and its disk are deleted. This cannot be undone.",
      ],
      kept: ["If a Pod cannot leave, or a volume has its data there, nothing is removed."],
      action: "Remove node",
      danger: true,
      option: { label: "Remove it whatever is on it: Pods and data there are lost", value: false },
    });
    if (answer.confirmed)
      await begin("Could not remove the node", () => clusters.removeNode(cluster(), node, answer.option), true);
  }

  async function act(kind: NonNullable<Failure["action"]>["kind"]): Promise<void> {
    switch (kind) {
      case "retry":
      case "start":
        return start();
      case "delete":
        return remove();
      case "rebuild-image":
        return begin("Could not build the image", () => clusters.buildImage(true), true);
      case "change-settings":
        return void (await router.push({ name: "new" }));
      case "open-log":
        return void (await router.push({ name: "settings", hash: "#log" }));
    }
  }

  return { busy, start, stop, remove, startNode, stopNode, addNodes, setNode, removeNode, act };
}
