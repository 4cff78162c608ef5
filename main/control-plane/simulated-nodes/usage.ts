/** What simulated nodes and their Pods use, as their rules say, for metrics.k8s.io. */
import type { Informer } from "../../../common/kube/informer.ts";
import { milliValue, parseQuantity, wholeValue } from "../../../common/kube/quantity.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import type { NodeUsage, Usage } from "../metrics-api/source.ts";
import type { Behaviour } from "./rules/resolve.ts";

/** Of a container of which nothing is said, and of a node besides its Pods. */
const IDLE: Usage = { cpu: 1_000_000, memoryBytes: 8 * 1024 * 1024 };
const NODE: Usage = { cpu: 50_000_000, memoryBytes: 256 * 1024 * 1024 };
const WINDOW_SECONDS = 15;

type Amounts = { cpu?: string | number | undefined; memory?: string | number | undefined };

const nanocores = (quantity: string | number): number => milliValue(parseQuantity(quantity)) * 1_000_000;
const bytes = (quantity: string | number): number => wholeValue(parseQuantity(quantity));

const controllerOf = ({ metadata }: Pod): string | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller)?.uid;

const counts = ({ status, metadata }: Pod): boolean =>
  status?.phase === "Running" && metadata.deletionTimestamp === undefined;

/** What one container uses; `share`: the part of the controller's load that is this container's. */
export function containerUsage(said: Amounts | undefined, load: Amounts | undefined, share: number): Usage {
  const of = (own: string | number | undefined, all: string | number | undefined, read: typeof bytes, idle: number) =>
    own === undefined && all === undefined
      ? idle
      : (own === undefined ? 0 : read(own)) + (all === undefined ? 0 : Math.round(read(all) * share));
  return {
    cpu: of(said?.cpu, load?.cpu, nanocores, IDLE.cpu),
    memoryBytes: of(said?.memory, load?.memory, bytes, IDLE.memoryBytes),
  };
}

export class SimulatedUsage {
  readonly #pods: Informer<Pod>;
  readonly #behaviour: (pod: Pod) => Behaviour;
  readonly #now: () => number;

  constructor(pods: Informer<Pod>, behaviour: (pod: Pod) => Behaviour, now: () => number) {
    this.#pods = pods;
    this.#behaviour = behaviour;
    this.#now = now;
    pods.addIndex("controller", (pod) => [controllerOf(pod) ?? ""]);
  }

  usage(node: Node): NodeUsage {
    const pods = new Map<string, Map<string, Usage>>();
    const sum = { ...NODE };
    for (const pod of this.#pods.byIndex("node", node.metadata.name ?? "")) {
      if (!counts(pod)) continue;
      const behaviour = this.#behaviour(pod);
      const containers = pod.spec?.containers ?? [];
      const share = behaviour.load ? 1 / (this.#siblings(pod) * containers.length) : 0;
      const usages = new Map<string, Usage>();
      for (const { name } of containers) {
        const usage = containerUsage(behaviour.of(name, false).usage, behaviour.load, share);
        usages.set(name, usage);
        sum.cpu += usage.cpu;
        sum.memoryBytes += usage.memoryBytes;
      }
      pods.set(`${pod.metadata.namespace}/${pod.metadata.name}`, usages);
    }
    return { at: this.#now(), window: WINDOW_SECONDS, node: sum, pods };
  }

  /** Those that the load is divided among: Ready ones of the same controller. */
  #siblings(pod: Pod): number {
    const controller = controllerOf(pod);
    if (controller === undefined) return 1;
    const all = this.#pods.byIndex("controller", controller).filter(counts);
    const ready = all.filter(({ status }) =>
      status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
    );
    return Math.max(1, ready.length);
  }
}
