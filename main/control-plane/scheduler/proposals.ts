/** For each plug-in that refuses a node: the changes of the Pod or the node that answer its refusal, to be tried. */
import type { RemedyChange } from "../../../common/kube/explain.ts";
import { formatQuantity } from "../../../common/kube/quantity.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import type { ClusterView } from "./cache.ts";
import type { NodeInfo, PodInfo } from "./model.ts";
import { portsCollide } from "./plugins/node-ports.ts";
import { tolerates } from "./plugins/taint-toleration.ts";
import type { RawConstraint } from "./plugins/pod-topology-spread.ts";

export interface Proposal {
  change: RemedyChange;
  /** How much it asks of people; compared only with others'. */
  cost: number;
  onPod?(pod: Pod): Pod;
  onNode?(node: Node): Node;
  /** Of steps of one change only the first that works is said. */
  ladder?: string;
  /** Another refusal's remedy answers this one too: nothing more is to be said. */
  implied?: true;
  /** uids of Pods that would have to go. */
  without?: readonly string[];
}

/** Cheapest first. None: no change of this kind is known. */
export function proposalsFor(plugin: string, pod: PodInfo, node: NodeInfo, cluster: ClusterView): Proposal[] {
  return (PROPOSERS[plugin]?.(pod, node, cluster) ?? []).toSorted((a, b) => a.cost - b.cost);
}

type Propose = (pod: PodInfo, node: NodeInfo, cluster: ClusterView) => Proposal[];

const ofPod = ({ key }: PodInfo, text: string, cost: number, onPod: (pod: Pod) => Pod): Proposal => ({
  change: { target: "Pod", name: key, text },
  cost,
  onPod,
});
const ofNode = ({ name }: NodeInfo, text: string, cost: number, onNode: (node: Node) => Node): Proposal => ({
  change: { target: "Node", name, text },
  cost,
  onNode,
});

const withSpec = (pod: Pod, change: (spec: Record<string, unknown>) => void): Pod => {
  change(pod.spec as unknown as Record<string, unknown>);
  return pod;
};
const withNodeSpec = (node: Node, change: (spec: Record<string, unknown>) => void): Node => {
  const spec = { ...node.spec } as Record<string, unknown>;
  change(spec);
  return { ...node, spec } as Node;
};

/** "1 CPU", "512Mi of memory", "2 example.com/gpu". */
function words(name: string, amount: number): string {
  if (name === "cpu") return `${quantity(name, amount)} CPU`;
  return name === "memory" || name === "ephemeral-storage"
    ? `${quantity(name, amount)} of ${name}`
    : `${quantity(name, amount)} ${name}`;
}

function quantity(name: string, amount: number): string {
  if (name === "cpu") return formatQuantity({ nano: BigInt(amount) * 1_000_000n, format: "DecimalSI" });
  const bytes = name === "memory" || name === "ephemeral-storage" || name.startsWith("hugepages-");
  // Whole mebibytes read better, and what is asked for is rounded up.
  const whole = bytes ? Math.ceil(amount / 2 ** 20) * 2 ** 20 : amount;
  return formatQuantity({ nano: BigInt(whole) * 1_000_000_000n, format: bytes ? "BinarySI" : "DecimalSI" });
}

const allocatableOf = ({ status }: Node): Record<string, string> =>
  ({ ...(status?.allocatable ?? status?.capacity) }) as Record<string, string>;

function resources(pod: PodInfo, node: NodeInfo): Proposal[] {
  const lacking = Object.entries(pod.requests).flatMap(([name, wanted]) => {
    const offered = node.allocatable[name] ?? 0;
    const free = offered - (node.requested[name] ?? 0);
    return wanted > 0 && wanted > free ? [{ name, wanted, offered, free }] : [];
  });
  const full = node.pods.size + 1 > node.allowedPods;
  const proposals: Proposal[] = [];
  const adds = [
    ...lacking.map(({ name, wanted, free }) => words(name, wanted - free)),
    ...(full ? ["room for 1 more Pod"] : []),
  ];
  const share = lacking.reduce((sum, { wanted, free, offered }) => sum + (wanted - free) / Math.max(1, offered), 0);
  proposals.push(
    ofNode(node, `add ${adds.join(" and ")} to ${node.name}`, 20 + Math.min(25, 10 * share), (changed) => {
      const allocatable = allocatableOf(changed);
      for (const { name, wanted, free, offered } of lacking)
        allocatable[name] = quantity(name, offered + wanted - free);
      if (full) allocatable["pods"] = String(node.pods.size + 1);
      return { ...changed, status: { ...changed.status, allocatable } } as Node;
    }),
  );
  if (!full && lacking.every(({ free }) => free > 0)) {
    const asks = lacking.map(
      ({ name, free, wanted }) => `${words(name, floored(name, free))} instead of ${quantity(name, wanted)}`,
    );
    const less = lacking.reduce((sum, { wanted, free }) => sum + (wanted - free) / wanted, 0);
    proposals.push(
      ofPod(pod, `ask for at most ${asks.join(" and ")}`, 10 + 15 * less, (changed) => shrink(changed, lacking)),
    );
  }
  return [...proposals, ...endings(pod, node)];
}

const floored = (name: string, amount: number): number =>
  name === "memory" ? Math.max(1, Math.floor(amount / 2 ** 20)) * 2 ** 20 : amount;

/** All that is missing is taken from the containers that ask, from each as much as it has. */
function shrink(pod: Pod, lacking: readonly { name: string; wanted: number; free: number }[]): Pod {
  const resourcesNow = lacking.map(({ name, free }) => [name, quantity(name, floored(name, free))] as const);
  return withSpec(pod, (spec) => {
    const own = spec["resources"] as { requests?: object } | undefined;
    spec["resources"] = { ...own, requests: { ...own?.requests, ...Object.fromEntries(resourcesNow) } };
  });
}

/** Pods of the same or a lower priority whose end alone would make the room; the fewest, the smallest. */
function endings(pod: PodInfo, node: NodeInfo): Proposal[] {
  const enough = [...node.pods.values()].filter(
    (other) =>
      node.pods.size <= node.allowedPods &&
      Object.entries(pod.requests).every(
        ([name, wanted]) =>
          wanted <= (node.allocatable[name] ?? 0) - (node.requested[name] ?? 0) + (other.requests[name] ?? 0),
      ),
  );
  const smallest = enough.toSorted(
    (a, b) => a.priority - b.priority || (a.requests["cpu"] ?? 0) - (b.requests["cpu"] ?? 0),
  )[0];
  if (!smallest) return [];
  const text = `end Pod ${smallest.key} on ${node.name}`;
  return [
    {
      change: { target: "Cluster", name: smallest.key, text },
      cost: 40,
      without: [smallest.uid],
    },
  ];
}

const CORDONED = "node.kubernetes.io/unschedulable";
const STRICT = ["NoSchedule", "NoExecute"];

function taints(pod: PodInfo, node: NodeInfo): Proposal[] {
  const cordoned = Boolean(node.node.spec?.unschedulable);
  const missing = node.taints.filter(
    (taint) =>
      STRICT.includes(taint.effect) &&
      !tolerates(pod.pod.spec?.tolerations, taint) &&
      !(cordoned && taint.key === CORDONED),
  );
  // Uncordoning takes the taint away.
  if (missing.length === 0) return [{ change: { target: "Node", name: node.name, text: "" }, cost: 0, implied: true }];
  const text = missing.map(({ key, value, effect }) => `${key}${value ? `=${value}` : ""}:${effect}`).join(" and ");
  const tolerations = missing.map(({ key, value, effect }) => ({ key, operator: "Equal", value: value ?? "", effect }));
  return [
    ofPod(pod, `tolerate taint ${text}`, 5 * missing.length, (changed) =>
      withSpec(changed, (spec) => {
        spec["tolerations"] = [...((spec["tolerations"] as object[] | undefined) ?? []), ...tolerations];
      }),
    ),
    ofNode(node, `remove taint ${text} from ${node.name}`, 6 * missing.length, (changed) =>
      withNodeSpec(changed, (spec) => {
        spec["taints"] = node.taints.filter((taint) => !missing.includes(taint));
      }),
    ),
  ];
}

function nodeAffinity(pod: PodInfo, node: NodeInfo): Proposal[] {
  const wrong = Object.entries(pod.pod.spec?.nodeSelector ?? {}).filter(([key, value]) => node.labels[key] !== value);
  const proposals: Proposal[] = [];
  const affinity = pod.pod.spec?.affinity as
    | { nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: object } }
    | undefined;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution !== undefined;
  const pairs = wrong.map(([key, value]) => `${key}=${value}`).join(" and ");
  if (wrong.length > 0) {
    proposals.push(
      ofNode(node, `label ${node.name} with ${pairs}`, 7, (changed) => ({
        ...changed,
        metadata: { ...changed.metadata, labels: { ...changed.metadata.labels, ...Object.fromEntries(wrong) } },
      })),
      ofPod(pod, `drop ${pairs} from the nodeSelector`, 8, (changed) =>
        withSpec(changed, (spec) => {
          const rest = { ...(spec["nodeSelector"] as Record<string, string>) };
          for (const [key] of wrong) delete rest[key];
          spec["nodeSelector"] = rest;
        }),
      ),
    );
  }
  if (required) {
    proposals.push(
      ofPod(
        pod,
        `drop the required node affinity${pairs ? ` and ${pairs} from the nodeSelector` : ""}`,
        12,
        (changed) =>
          withSpec(changed, (spec) => {
            const nodeSelector = { ...(spec["nodeSelector"] as Record<string, string> | undefined) };
            for (const [key] of wrong) delete nodeSelector[key];
            spec["nodeSelector"] = nodeSelector;
            const own = spec["affinity"] as { nodeAffinity?: Record<string, unknown> };
            const { requiredDuringSchedulingIgnoredDuringExecution: _, ...rest } = own.nodeAffinity ?? {};
            spec["affinity"] = { ...own, nodeAffinity: rest };
          }),
      ),
    );
  }
  return proposals;
}

function podAffinity(pod: PodInfo): Proposal[] {
  const drop = (field: "podAffinity" | "podAntiAffinity", text: string): Proposal =>
    ofPod(pod, text, 12, (changed) =>
      withSpec(changed, (spec) => {
        const own = { ...(spec["affinity"] as Record<string, Record<string, unknown> | undefined>) };
        const { requiredDuringSchedulingIgnoredDuringExecution: _, ...rest } = own[field] ?? {};
        spec["affinity"] = { ...own, [field]: rest };
      }),
    );
  return [
    ...(pod.affinity.length > 0 ? [drop("podAffinity", "make the required Pod affinity a preferred one")] : []),
    ...(pod.antiAffinity.length > 0
      ? [drop("podAntiAffinity", "make the required Pod anti-affinity a preferred one")]
      : []),
  ];
}

function spread(pod: PodInfo): Proposal[] {
  const own = (pod.pod.spec?.topologySpreadConstraints ?? []) as unknown as RawConstraint[];
  const strict = own.filter(({ whenUnsatisfiable }) => whenUnsatisfiable !== "ScheduleAnyway");
  if (strict.length === 0) return [];
  const keys = strict.map(({ topologyKey }) => topologyKey).join(" and ");
  const change = (of: (constraint: RawConstraint) => RawConstraint) => (changed: Pod) =>
    withSpec(changed, (spec) => {
      spec["topologySpreadConstraints"] = own.map(of);
    });
  return [
    ...[1, 2, 5].map((more) => ({
      ...ofPod(
        pod,
        `raise maxSkew of ${strict.map(({ topologyKey, maxSkew }) => `${topologyKey} to ${maxSkew + more}`).join(" and ")}`,
        8 + more,
        change((one) => (strict.includes(one) ? { ...one, maxSkew: one.maxSkew + more } : one)),
      ),
      ladder: "maxSkew",
    })),
    ...(strict.some(({ minDomains }) => (minDomains ?? 1) > 1)
      ? [
          ofPod(
            pod,
            `drop minDomains of ${keys}`,
            12,
            change(({ minDomains: _, ...one }) => one),
          ),
        ]
      : []),
    ofPod(
      pod,
      `let spreading over ${keys} be a wish (whenUnsatisfiable: ScheduleAnyway)`,
      15,
      change((one) => ({ ...one, whenUnsatisfiable: "ScheduleAnyway" })),
    ),
  ];
}

function ports(pod: PodInfo, node: NodeInfo): Proposal[] {
  const taken = pod.hostPorts.filter((wanted) =>
    [...node.pods.values()].some((other) => other.hostPorts.some((held) => portsCollide(held, wanted))),
  );
  const numbers = new Set(taken.map(({ port }) => port));
  return [
    ofPod(pod, `drop hostPort ${[...numbers].join(" and ")}`, 9, (changed) =>
      withSpec(changed, (spec) => {
        for (const container of spec["containers"] as { ports?: { hostPort?: number }[] }[])
          for (const port of container.ports ?? []) if (numbers.has(port.hostPort ?? 0)) delete port.hostPort;
      }),
    ),
  ];
}

const PROPOSERS: Record<string, Propose> = {
  NodeResourcesFit: resources,
  TaintToleration: taints,
  NodeUnschedulable: (_, node) => [
    ofNode(node, `uncordon ${node.name}`, 1, (changed) =>
      withNodeSpec(changed, (spec) => {
        delete spec["unschedulable"];
        spec["taints"] = node.taints.filter(({ key }) => key !== CORDONED);
      }),
    ),
  ],
  NodeAffinity: nodeAffinity,
  InterPodAffinity: podAffinity,
  PodTopologySpread: spread,
  NodePorts: ports,
};
