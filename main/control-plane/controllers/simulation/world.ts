/**
 * A cluster in virtual time that a seed makes and treats: workloads, users, nodes that fail, a quota, a budget, and
 * controllers on a connection that fails in every way and that are killed in the middle of what they do.
 */
import { sleep } from "../../../../common/kube/clock.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError, isStatus } from "../../../../common/kube/status.ts";
import type { Node, Pod } from "../../../../common/kube/types.ts";
import { isOver } from "../../quota/usage.ts";
import { evictionHandler } from "../../resources/virtual/eviction.ts";
import { CALM, ChaosClient } from "../../testing/chaos-client.ts";
import type { Chaos } from "../../testing/chaos-client.ts";
import { FakeClient } from "../../testing/fake-client.ts";
import { Kubelets } from "../../testing/kubelets.ts";
import { between, oneOf, randomOf } from "../../testing/random.ts";
import type { Random } from "../../testing/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { startControllers } from "../index.ts";
import type { RunningControllers } from "../index.ts";
import type { BudgetStatus } from "../disruption/decide.ts";
import { kinds } from "../kernel/kinds.ts";
import { isActive, isReady } from "../kernel/pods.ts";
import { Invariants } from "./invariants.ts";
import { WORKLOADS, objectOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const CONTROLLERS = [
  "deployment-controller",
  "replicaset-controller",
  "replication-controller",
  "statefulset-controller",
  "daemonset-controller",
  "job-controller",
  "cronjob-controller",
  "disruption-controller",
  "endpointslice-controller",
  "endpoint-controller",
  "node-controller",
  "taint-eviction-controller",
  "pod-garbage-collector",
  "resourcequota-controller",
  "garbage-collector-controller",
];
const NODES = ["n1", "n2", "n3"];
const NAMESPACE = "default";
const QUOTA = { ...kinds.resourceQuotas, namespace: NAMESPACE, name: "most" };

/**
 * Gentle: nothing is lost but by the controllers' own doing, so that every promise must hold at every moment. Rough:
 * nodes fail and Pods vanish too, and what counts is that the end is right.
 */
export type Mood = "gentle" | "rough";

/** Requests that the API answers as admission does, with a quota, which is charged before a Pod is stored. */
class QuotaClient extends FakeClient {
  override async create<T extends KubeObject = KubeObject>(
    ref: Parameters<FakeClient["create"]>[0],
    object: KubeObject,
  ): Promise<T> {
    if (ref.resource === "pods" && !ref.subresource && this.all(kinds.resourceQuotas).length > 0) {
      this.#charge(object);
      // Charged, and not stored yet: whoever counts now counts one too few.
      await this.between();
    }
    return super.create<T>(ref, object);
  }

  between: () => Promise<void> = () => Promise.resolve();

  #charge(pod: KubeObject): void {
    for (const quota of this.all(kinds.resourceQuotas)) {
      const status = (quota.status ?? {}) as { hard?: { pods?: string }; used?: { pods?: string } };
      const [hard, used] = [Number(status.hard?.pods), Number(status.used?.pods)];
      const name = `${pod.metadata.name ?? pod.metadata.generateName}`;
      if (!(used + 1 <= hard)) {
        throw new StatusError(
          "Forbidden",
          `pods "${name}" is forbidden: exceeded quota: ${quota.metadata.name}, requested: pods=1, used: pods=${used}, limited: pods=${hard}`,
        );
      }
      this.put(kinds.resourceQuotas, {
        ...quota,
        status: { ...status, used: { ...status.used, pods: String(used + 1) } },
      });
    }
  }
}

export class World {
  readonly random: Random;
  readonly mood: Mood;
  readonly clock = new VirtualClock();
  readonly client: FakeClient;
  readonly kubelets: Kubelets;
  readonly workloads: Workload[];
  readonly invariants: Invariants;
  readonly log: string[] = [];
  readonly hasQuota: boolean;
  #chaos: Chaos;
  #connection: ChaosClient | undefined;
  #controllers: RunningControllers | undefined;
  /** Those that were killed still have to end. */
  readonly #ending: Promise<void>[] = [];

  /** `only`: one workload by its name, which then is all that users treat; else one or all, as the seed will have it. */
  constructor(seed: number, only?: string) {
    const random = (this.random = randomOf(seed));
    this.mood = random() < 0.5 ? "gentle" : "rough";
    const client = new QuotaClient({ clock: this.clock });
    client.between = () => (random() < 0.3 ? sleep(this.clock, between(random, 0, 600)) : Promise.resolve());
    this.client = client;
    const alone = between(random, 0, WORKLOADS.length * 2);
    this.workloads = WORKLOADS.filter((_, at) => only !== undefined || alone >= WORKLOADS.length || at === alone)
      .map((make) => make(random))
      .filter(({ name }) => only === undefined || name === only);
    this.hasQuota = this.mood === "rough" && random() < 0.3;
    const much = oneOf(random, [0, 0.05, 0.15]);
    const lost = this.mood === "rough" && random() < 0.5 ? much / 2 : 0;
    this.#chaos = { fail: much, lose: lost, slow: oneOf(random, [0, 0.1, 0.3]), twice: oneOf(random, [0, 0.2]) };
    const failing = oneOf(random, [0, 0.2, 0.5]);
    this.kubelets = new Kubelets({
      client: this.client,
      clock: this.clock,
      startMillis: () => between(random, 200, 3000),
      stopMillis: () => between(random, 100, 3000),
      finish: ({ spec }) =>
        (spec as { restartPolicy?: string } | undefined)?.restartPolicy === "Never"
          ? { afterMillis: between(random, 200, 6000), exitCode: random() < failing ? 1 : 0 }
          : undefined,
    });
    this.invariants = new Invariants(this, lost > 0);
  }

  spec(name: string): Record<string, unknown> | undefined {
    const { kind } = this.workloads.find((one) => one.name === name) ?? {};
    return (
      kind && (this.client.all(kind).find(({ metadata }) => metadata.name === name)?.spec as Record<string, unknown>)
    );
  }

  pods(app?: string): Pod[] {
    const all = this.client.all<Pod>(kinds.pods);
    return app === undefined ? all : all.filter(({ metadata }) => metadata.labels?.["app"] === app);
  }

  async begin(): Promise<void> {
    for (const name of NODES) this.kubelets.start(name);
    await this.#create(kinds.namespaces, { metadata: { name: NAMESPACE } });
    if (this.hasQuota)
      await this.#create(kinds.resourceQuotas, { metadata: { name: QUOTA.name }, spec: { hard: { pods: "12" } } });
    const selector = { matchLabels: { app: "web" } };
    await this.#create(kinds.podDisruptionBudgets, {
      metadata: { name: "web" },
      spec: this.random() < 0.5 ? { maxUnavailable: 1, selector } : { minAvailable: "50%", selector },
    });
    for (const name of ["web", "db"])
      await this.#create(kinds.services, {
        metadata: { name },
        spec: { selector: { app: name }, ports: [{ port: 80 }] },
      });
    this.startControllers();
    await this.clock.advance(5000);
    for (const workload of this.workloads)
      await this.client.create({ ...workload.kind, namespace: NAMESPACE, name: workload.name }, objectOf(workload));
  }

  startControllers(): void {
    this.#connection = new ChaosClient(this.client, this.clock, this.random, () => this.#chaos);
    this.#controllers = startControllers({
      client: this.#connection,
      clock: this.clock,
      random: this.random,
      ca: { certificate: "CA", key: "KEY" },
      resources: () =>
        Object.values(kinds).map((kind) => ({
          ...kind,
          namespaced: !["nodes", "namespaces", "persistentvolumes"].includes(kind.resource),
          verbs: ["list", "watch", "delete"],
        })),
      log: (line) => this.log.push(line),
      only: CONTROLLERS,
    });
  }

  /** In the middle of whatever they do. */
  kill(): void {
    this.#connection?.kill();
    if (this.#controllers) this.#ending.push(this.#controllers.stop());
  }

  /** Virtual time passes, and every promise is looked at twice a second. */
  async run(seconds: number): Promise<void> {
    for (let half = 0; half < seconds * 2; half += 1) {
      await this.clock.advance(500);
      this.invariants.look();
    }
  }

  async act(): Promise<void> {
    const { random } = this;
    const dice = random();
    if (dice < 0.35) return this.run(between(random, 1, 15));
    if (dice < 0.65) {
      const workload = oneOf(random, this.workloads);
      const change = workload.treat(random);
      if (change["replicas"] !== undefined) this.invariants.scaled(workload.name);
      this.invariants.treated(workload.name === "web" && change["replicas"] !== undefined ? "web" : undefined);
      await this.#user(() => this.#patch(workload, change));
    } else if (dice < 0.72) {
      this.kill();
      await this.clock.advance(between(random, 0, 3000));
      this.startControllers();
    } else if (dice < 0.76) this.client.dropWatches();
    else if (dice < 0.84) await this.#drain();
    else if (this.mood === "gentle") await this.run(1);
    else if (dice < 0.92) await this.#vanish();
    else await this.#break();
    return undefined;
  }

  /** The end of all trouble: whatever was asked for must come true now. */
  async heal(): Promise<void> {
    this.#chaos = CALM;
    for (const name of NODES) {
      this.kubelets.start(name);
      await this.client.patch({ ...kinds.nodes, name }, "application/merge-patch+json", {
        spec: { unschedulable: null },
      });
    }
    if (this.hasQuota)
      await this.client.patch(QUOTA, "application/merge-patch+json", { spec: { hard: { pods: "100" } } });
    for (const workload of this.workloads) {
      if (workload.name === "web") await this.#patch(workload, { paused: null });
      if (workload.name === "work") await this.#patch(workload, { suspend: null, parallelism: 3 });
      if (workload.name === "tick") await this.#patch(workload, { suspend: true });
    }
    this.invariants.treated("web");
    await this.run(500);
    // Whoever was refused often waits long before it asks again: up to 1,000 s, as in Kubernetes.
    if (this.hasQuota) await this.clock.advance(1_000_000);
  }

  async remove(workload: Workload, propagationPolicy: "Foreground" | "Background"): Promise<void> {
    await this.client.delete({ ...workload.kind, namespace: NAMESPACE, name: workload.name }, { propagationPolicy });
  }

  async stop(): Promise<void> {
    const stopped = Promise.all([
      ...this.#ending,
      this.#controllers?.stop(),
      this.kubelets.stop(),
      this.invariants.stop(),
    ]);
    await this.clock.advance(10_000);
    await stopped;
  }

  async #vanish(): Promise<void> {
    const pods = this.pods();
    if (pods.length === 0) return;
    const pod = oneOf(this.random, pods);
    this.invariants.treated();
    const preconditions = { uid: pod.metadata.uid ?? "" };
    await this.#user(() =>
      this.client.delete({ ...kinds.pods, namespace: NAMESPACE, name: pod.metadata.name ?? "" }, { preconditions }),
    );
  }

  /** A node fails, comes back, or is taken out for good and registered anew. */
  async #break(): Promise<void> {
    const name = oneOf(this.random, NODES);
    this.invariants.treated();
    if (!this.kubelets.isUp(name)) return this.kubelets.start(name);
    this.kubelets.fail(name);
    if (this.random() < 0.3) await this.#user(() => this.client.delete({ ...kinds.nodes, name }));
    return this.run(between(this.random, 5, 60));
  }

  /** As kubectl drain does: cordon, then ask for each Pod's eviction. */
  async #drain(): Promise<void> {
    const name = oneOf(this.random, NODES);
    if (!this.client.all<Node>(kinds.nodes).some(({ metadata }) => metadata.name === name)) return;
    await this.client.patch({ ...kinds.nodes, name }, "application/merge-patch+json", {
      spec: { unschedulable: true },
    });
    this.invariants.treated("web");
    this.invariants.treated("db");
    await this.run(1);
    const evict = evictionHandler(this.client, () => new Date(this.clock.now()));
    const healthy = this.pods("web").filter(
      (pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined,
    ).length;
    const budget = this.client.all(kinds.podDisruptionBudgets)[0]?.status as BudgetStatus | undefined;
    let granted = 0;
    for (const pod of this.pods().filter((one) => one.spec?.nodeName === name && isActive(one))) {
      const request = { namespace: NAMESPACE, name: pod.metadata.name ?? "", dryRun: false };
      try {
        await evict({ apiVersion: "policy/v1", kind: "Eviction", metadata: {} }, request as never);
        if (pod.metadata.labels?.["app"] === "web" && isReady(pod)) granted += 1;
      } catch (error) {
        if (!isStatus(error, "TooManyRequests", "NotFound", "Conflict")) throw error;
      }
    }
    // What the budget's status does not know yet, nobody can respect.
    if (budget?.currentHealthy === healthy) this.invariants.drained(granted, healthy - budget.desiredHealthy);
    await this.run(between(this.random, 1, 10));
    if (this.random() < 0.7)
      await this.#user(() =>
        this.client.patch({ ...kinds.nodes, name }, "application/merge-patch+json", { spec: { unschedulable: null } }),
      );
  }

  async #patch(workload: Workload, spec: object): Promise<void> {
    const ref = { ...workload.kind, namespace: NAMESPACE, name: workload.name };
    await this.client.patch(ref, "application/merge-patch+json", { spec });
  }

  async #user(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!isStatus(error, "NotFound", "Conflict")) throw error;
    }
  }

  #create(
    kind: (typeof kinds)[keyof typeof kinds],
    object: { metadata: { name: string }; spec?: object },
  ): Promise<KubeObject> {
    const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
    const scope = kind.resource === "namespaces" ? {} : { namespace: NAMESPACE };
    const full = { apiVersion, kind: kind.kind, ...object, metadata: { ...object.metadata, ...scope } };
    return this.client.create({ ...kind, ...scope, name: object.metadata.name }, full as unknown as KubeObject);
  }
}

/** Pods that count towards a quota. */
export const counted = (pods: readonly Pod[]): Pod[] => pods.filter((pod) => !isOver(pod));
