/**
 * Tells kubelets, by an annotation of their Node, for how long they may keep Secrets and ConfigMaps without asking
 * again: the larger the cluster, the longer. Sizes overlap, so that a cluster at a border does not go to and fro.
 */
import type { Node } from "../../../common/kube/types.ts";
import { commit } from "./kernel/committer.ts";
import type { ControllerDefinition } from "./kernel/controller.ts";
import { kinds } from "./kernel/kinds.ts";

const TTL = "node.alpha.kubernetes.io/ttl";
const STEPS = [
  { from: 0, to: 100, seconds: 0 },
  { from: 90, to: 500, seconds: 15 },
  { from: 450, to: 1000, seconds: 30 },
  { from: 900, to: 2000, seconds: 60 },
  { from: 1800, to: Number.POSITIVE_INFINITY, seconds: 300 },
];

/** The step for so many nodes, coming from another. */
export function stepFor(nodes: number, before: number): number {
  let step = before;
  while (nodes > (STEPS[step]?.to ?? 0)) step += 1;
  while (nodes < (STEPS[step]?.from ?? 0)) step -= 1;
  return step;
}

export const nodeTtlController: ControllerDefinition = {
  name: "ttl-controller",
  concurrency: 5,
  setup({ client, informers }, keys) {
    const nodes = informers.for<Node>(kinds.nodes);
    let step = 0;
    const count = (): void => {
      const next = stepFor(nodes.size, step);
      if (next === step) return;
      step = next;
      for (const { metadata } of nodes.values()) keys.add(metadata.name ?? "");
    };
    nodes.addHandler({
      add: ({ metadata }) => {
        count();
        keys.add(metadata.name ?? "");
      },
      update: ({ metadata }, old) => {
        if (metadata.annotations?.[TTL] !== old.metadata.annotations?.[TTL]) keys.add(metadata.name ?? "");
      },
      delete: count,
    });
    return {
      async reconcile(name) {
        const node = nodes.get(name);
        if (!node) return;
        const annotations = { ...node.metadata.annotations, [TTL]: String(STEPS[step]?.seconds ?? 0) };
        await commit(client, kinds.nodes, node, { ...node, metadata: { ...node.metadata, annotations } });
      },
    };
  },
};
