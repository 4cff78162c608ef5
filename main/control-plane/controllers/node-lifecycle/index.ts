/** Watches the nodes' signs of life; marks silent ones Unknown, taints nodes by their conditions, and tells their Pods. */
import { isStatus } from "../../../../common/kube/status.ts";
import { timestamp } from "../../../../common/kube/clock.ts";
import type { Lease, Node, Pod } from "../../../../common/kube/types.ts";
import { AwakeClock } from "../kernel/awake-clock.ts";
import { commit } from "../kernel/committer.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import { conditionOf, isTerminated } from "../kernel/pods.ts";
import type { Condition } from "../kernel/pods.ts";
import { decideTaints, evictionPace, observe, signOf, silentConditions, zoneOf } from "./decide.ts";
import type { Eviction, Health } from "./decide.ts";

const TICK_MILLIS = 5000;
/** A node may be silent so long; a new one, which still has to start, longer. */
const GRACE_MILLIS = 40_000;
const STARTUP_GRACE_MILLIS = 60_000;
const LEASE_NAMESPACE = "kube-node-lease";

export const nodeLifecycleController: ControllerDefinition = {
  name: "node-controller",
  concurrency: 10,
  setup({ client, informers, clock, events, log }, keys) {
    const nodes = informers.for<Node>(kinds.nodes);
    const leases = informers.for<Lease>(kinds.leases, { namespace: LEASE_NAMESPACE });
    const pods = informers.for<Pod>(kinds.pods).addIndex("node", ({ spec }) => (spec?.nodeName ? [spec.nodeName] : []));
    const health = new Map<string, Health>();
    const silent = new Set<string>();
    /** Kept as nodes change: in a large cluster's bad hour every node asks how many are left. */
    const zones = new Map<string, { ready: Set<string>; notReady: Set<string>; lastEviction: number }>();
    const zoneNamed = (name: string) => {
      let zone = zones.get(name);
      const never = Number.NEGATIVE_INFINITY;
      if (!zone) zones.set(name, (zone = { ready: new Set(), notReady: new Set(), lastEviction: never }));
      return zone;
    };
    const places = new Map<string, string>();
    const forget = (name: string): void => {
      const place = places.get(name);
      const zone = place === undefined ? undefined : zones.get(place);
      places.delete(name);
      if (!zone || place === undefined) return;
      zone.ready.delete(name);
      zone.notReady.delete(name);
      if (zone.ready.size + zone.notReady.size === 0) zones.delete(place);
    };
    const judge = (node: Node): void => {
      const name = node.metadata.name ?? "";
      const place = zoneOf(node);
      if (places.get(name) !== place) forget(name);
      places.set(name, place);
      const zone = zoneNamed(place);
      const well = readyOf(node) === "True" && !silent.has(name);
      (well ? zone.ready : zone.notReady).add(name);
      (well ? zone.notReady : zone.ready).delete(name);
    };

    const readyOf = (node: Node): string | undefined => conditionOf(node, "Ready")?.status;

    nodes.addHandler({
      add: (node) => {
        judge(node);
        keys.add(node.metadata.name ?? "");
        events.record(
          { ...reference(node) },
          "Normal",
          "RegisteredNode",
          `Node ${node.metadata.name} event: Registered Node ${node.metadata.name} in Controller`,
        );
      },
      update: (node, old) => {
        const heard = health.get(node.metadata.name ?? "")?.heard;
        if (note(node).heard !== heard) silent.delete(node.metadata.name ?? "");
        judge(node);
        if (JSON.stringify([node.status?.conditions, node.spec]) !== JSON.stringify([old.status?.conditions, old.spec]))
          keys.add(node.metadata.name ?? "");
      },
      delete: ({ metadata }) => {
        forget(metadata.name ?? "");
        health.delete(metadata.name ?? "");
        silent.delete(metadata.name ?? "");
        keys.add(metadata.name ?? "");
        events.record(
          { apiVersion: "v1", kind: "Node", name: metadata.name ?? "", uid: metadata.uid ?? "" },
          "Normal",
          "RemovingNode",
          `Node ${metadata.name} event: Removing Node ${metadata.name} from Controller`,
        );
      },
    });

    const note = (node: Node): Health => {
      const name = node.metadata.name ?? "";
      const seen = observe(health.get(name), signOf(node, leases.get(`${LEASE_NAMESPACE}/${name}`)), awake.now());
      health.set(name, seen);
      return seen;
    };
    const look = (awakeMillis: number): void => {
      for (const node of nodes.values()) {
        const name = node.metadata.name ?? "";
        const after = note(node);
        const grace = readyOf(node) === undefined ? STARTUP_GRACE_MILLIS : GRACE_MILLIS;
        const isSilent = awakeMillis - after.heard > grace;
        if (isSilent) silent.add(name);
        else silent.delete(name);
        judge(node);
        if (isSilent || (readyOf(node) ?? "Unknown") !== "True") keys.add(name);
      }
    };
    const awake = new AwakeClock({
      clock,
      tickMillis: TICK_MILLIS,
      tick: look,
      gap: (missed) => {
        log(`node-controller: asleep for ${Math.round(missed / 1000)} s: every node has its full time again`);
        for (const [name, one] of health) health.set(name, { ...one, heard: awake.now() });
      },
    });

    const evictionOf = (node: Node): Eviction => {
      const zone = zoneNamed(zoneOf(node));
      const counts = [...zones.values()].map((one) => ({ ready: one.ready.size, notReady: one.notReady.size }));
      const pace = evictionPace({ ready: zone.ready.size, notReady: zone.notReady.size }, counts);
      if (typeof pace === "string") return pace;
      if (readyOf(node) === "True" || hasDrivingTaint(node)) return "begin";
      if (awake.now() - zone.lastEviction < pace) return "hold";
      zone.lastEviction = awake.now();
      return "begin";
    };

    const markPods = async (name: string): Promise<void> => {
      await Promise.all(
        pods.byIndex("node", name).map(async (pod) => {
          const ready = conditionOf(pod, "Ready");
          if (ready?.status !== "True" || isTerminated(pod)) return;
          const conditions = ((pod.status?.conditions ?? []) as Condition[]).map((one) =>
            one.type === "Ready" ? { ...one, status: "False", lastTransitionTime: timestamp(clock.now()) } : one,
          );
          try {
            await commit(client, kinds.pods, pod, { ...pod, status: { ...pod.status, conditions } } as Pod);
            events.record(pod, "Warning", "NodeNotReady", "Node is not ready");
          } catch (error) {
            if (!isStatus(error, "NotFound")) throw error;
          }
        }),
      );
    };

    return {
      started: () => {
        for (const node of nodes.values())
          health.set(node.metadata.name ?? "", {
            sign: signOf(node, leases.get(`${LEASE_NAMESPACE}/${node.metadata.name}`)),
            heard: awake.now(),
          });
        awake.start();
      },
      stop: () => awake.stop(),
      async reconcile(name) {
        let node = nodes.get(name);
        if (!node) return;
        if (silent.has(name) && (readyOf(node) ?? "") !== "Unknown") {
          const conditions = silentConditions(node, clock.now()) as NonNullable<
            NonNullable<Node["status"]>["conditions"]
          >;
          node = await commit(client, kinds.nodes, node, { ...node, status: { ...node.status, conditions } });
          events.record(reference(node), "Normal", "NodeNotReady", `Node ${name} status is now: NodeNotReady`);
        }
        const taints = decideTaints(node, evictionOf(node), clock.now()) as NonNullable<
          NonNullable<Node["spec"]>["taints"]
        >;
        await commit(client, kinds.nodes, node, {
          ...node,
          spec: { ...node.spec, ...(taints.length > 0 ? { taints } : { taints: undefined }) },
        } as Node);
        // A kubelet that says of itself that it is not ready goes on telling of its Pods: they are as it says.
        if (readyOf(node) === "Unknown") await markPods(name);
      },
    };
  },
};

/** Events of nodes carry the name as uid, by which kubectl describe finds those of kubelets too. */
function reference(node: Node): { apiVersion: string; kind: string; name: string; uid: string } {
  return { apiVersion: "v1", kind: "Node", name: node.metadata.name ?? "", uid: node.metadata.uid ?? "" };
}

function hasDrivingTaint(node: Node): boolean {
  return (node.spec?.taints ?? []).some(
    ({ key, effect }) =>
      effect === "NoExecute" && (key === "node.kubernetes.io/not-ready" || key === "node.kubernetes.io/unreachable"),
  );
}
