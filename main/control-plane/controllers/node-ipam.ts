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

/** The first subnet that nobody has. */
export function freeSubnet(range: CidrRange, prefixLength: number, taken: ReadonlySet<string>): string | undefined {
  for (let index = 0; ; index += 1) {
    const candidate = subnet(range, prefixLength, index);
    if (candidate === undefined || !taken.has(candidate)) return candidate;
  }
}

export function nodeIpamController(clusterCIDR: string, nodePrefixLength: number): ControllerDefinition {
  const range = parseCidr(clusterCIDR);
  return {
    name: "node-ipam-controller",
    concurrency: 1,
    setup({ client, informers, events }, keys) {
      const nodes = informers.for<Node>(kinds.nodes);
      /** Assigned by us and perhaps not yet seen back. */
      const taken = new Map<string, string>();
      nodes.addHandler({
        add: ({ metadata, spec }) =>
          spec?.podCIDR ? taken.set(metadata.name ?? "", spec.podCIDR) : keys.add(metadata.name ?? ""),
        update: ({ metadata, spec }) =>
          spec?.podCIDR ? taken.set(metadata.name ?? "", spec.podCIDR) : keys.add(metadata.name ?? ""),
        delete: ({ metadata }) => taken.delete(metadata.name ?? ""),
      });
      return {
        async reconcile(name) {
          const node = nodes.get(name);
          if (!node || node.spec?.podCIDR) return;
          const podCIDR = taken.get(name) ?? freeSubnet(range, nodePrefixLength, new Set(taken.values()));
          if (podCIDR === undefined) {
            events.record(node, "Normal", "CIDRNotAvailable", `Node ${name} status is now: CIDRNotAvailable`);
            throw new Error(`no free /${nodePrefixLength} is left in ${clusterCIDR} for node ${name}`);
          }
          taken.set(name, podCIDR);
          await commit(client, kinds.nodes, node, { ...node, spec: { ...node.spec, podCIDR, podCIDRs: [podCIDR] } });
        },
      };
    },
  };
}
