/** Gives every node its own range of Pod addresses: a /24 of the cluster's /16, as Node.spec.podCIDR. */
import type { Node } from "../../../common/kube/types.ts";
import { commit } from "./kernel/committer.ts";
import type { ControllerDefinition } from "./kernel/controller.ts";
import { kinds } from "./kernel/kinds.ts";

export interface CidrRange {
  /** The network's address as a number. */
  base: number;
  prefixLength: number;
}

export function parseCidr(cidr: string): CidrRange {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr);
  if (!match) throw new Error(`${cidr} is not an IPv4 range`);
  const [a = 0, b = 0, c = 0, d = 0, prefixLength = 0] = match.slice(1).map(Number);
  return { base: ((a * 256 + b) * 256 + c) * 256 + d, prefixLength };
}

/** The nth subnet of this size, as text; undefined beyond the last. */
export function subnet(range: CidrRange, prefixLength: number, index: number): string | undefined {
  if (index < 0 || index >= 2 ** (prefixLength - range.prefixLength)) return undefined;
  const address = range.base + index * 2 ** (32 - prefixLength);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".")}/${prefixLength}`;
}

/** The first subnet from `start` on that nobody has, going round once; its index too. */
export function freeSubnet(
  range: CidrRange,
  prefixLength: number,
  taken: ReadonlySet<string>,
  start = 0,
): { cidr: string; index: number } | undefined {
  const count = 2 ** (prefixLength - range.prefixLength);
  if (taken.size >= count) return undefined;
  for (let step = 0; step < count; step += 1) {
    const index = (start + step) % count;
    const cidr = subnet(range, prefixLength, index) as string;
    if (!taken.has(cidr)) return { cidr, index };
  }
  return undefined;
}

/** Nodes for which nothing was free are looked at again when a node goes, or after this long. */
const FULL_MILLIS = 60_000;

export function nodeIpamController(clusterCIDR: string, nodePrefixLength: number): ControllerDefinition {
  const range = parseCidr(clusterCIDR);
  return {
    name: "node-ipam-controller",
    concurrency: 1,
    setup({ client, informers, events }, keys) {
      const nodes = informers.for<Node>(kinds.nodes);
      /** By node: what the API shows, and what was assigned and is perhaps not yet seen back. */
      const byNode = new Map<string, string>();
      const taken = new Set<string>();
      const waiting = new Set<string>();
      let next = 0;
      const note = ({ metadata, spec }: Node): void => {
        const name = metadata.name ?? "";
        if (!spec?.podCIDR) return keys.add(name);
        byNode.set(name, spec.podCIDR);
        taken.add(spec.podCIDR);
      };
      nodes.addHandler({
        add: note,
        update: note,
        delete: ({ metadata }) => {
          taken.delete(byNode.get(metadata.name ?? "") ?? "");
          byNode.delete(metadata.name ?? "");
          for (const name of waiting) keys.add(name);
          waiting.clear();
        },
      });
      return {
        async reconcile(name) {
          const node = nodes.get(name);
          if (!node || node.spec?.podCIDR) return undefined;
          let podCIDR = byNode.get(name);
          if (podCIDR === undefined) {
            const free = freeSubnet(range, nodePrefixLength, taken, next);
            if (!free) {
              waiting.add(name);
              events.record(node, "Normal", "CIDRNotAvailable", `Node ${name} status is now: CIDRNotAvailable`);
              return { again: FULL_MILLIS };
            }
            podCIDR = free.cidr;
            next = free.index + 1;
            byNode.set(name, podCIDR);
            taken.add(podCIDR);
          }
          await commit(client, kinds.nodes, node, { ...node, spec: { ...node.spec, podCIDR, podCIDRs: [podCIDR] } });
          return undefined;
        },
      };
    },
  };
}
