/**
 * A cluster for tests of controllers: virtual time, a fake API, the real controllers, and a stand-in for
 * scheduler and kubelets that binds Pods, makes them ready after a while and ends them when asked.
 */
import type { KubeObject } from "../../../common/kube/object.ts";
import { timestamp } from "../../../common/kube/clock.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Pod } from "../../../common/kube/types.ts";
import { startControllers } from "../controllers/index.ts";
import type { RunningControllers } from "../controllers/index.ts";
import { nodeNameOf } from "../controllers/daemonset/decide.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import type { Kind } from "../controllers/kernel/kinds.ts";
import { Informer } from "../../../common/kube/informer.ts";
import { FakeClient, withFaults } from "./fake-client.ts";
import type { FakeClientOptions } from "./fake-client.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface TestClusterOptions {
  controllers: readonly string[];
  /** How long a Pod takes from its creation to ready; undefined: never gets ready. */
  startMillis?: (pod: Pod) => number | undefined;
  /** How long it takes to end when asked. Default 1000. */
  stopMillis?: number;
  /** How a Pod that runs ends by itself; undefined: never. */
  finish?: (pod: Pod) => { afterMillis: number; exitCode: number } | undefined;
  /** Pods go to the node their affinity names, as daemons' do. */
  bindToAffinity?: boolean;
  fault?: FakeClientOptions["fault"];
  random?: () => number;
}

export class TestCluster {
  readonly clock = new VirtualClock();
  readonly client: FakeClient;
  readonly log: string[] = [];
  readonly #options: TestClusterOptions;
  readonly #pods: Informer<Pod>;
  #controllers: RunningControllers | undefined;
  #nodes = 0;

  constructor(options: TestClusterOptions) {
    this.#options = options;
    this.client = new FakeClient({ clock: this.clock });
    this.#pods = new Informer<Pod>(this.client, kinds.pods, { clock: this.clock });
    this.#pods.addHandler({ add: (pod) => this.#kubelet(pod), update: (pod) => this.#kubelet(pod) });
    this.#pods.start();
  }

  start(): void {
    this.#controllers = startControllers({
      client: this.#options.fault ? withFaults(this.client, this.#options.fault) : this.client,
      clock: this.clock,
      ca: { certificate: "CA", key: "KEY" },
      issueToken: async ({ name }, { uid }) => `token of ${name} for ${uid}`,
      resources: () =>
        Object.values(kinds).map((kind) => ({
          ...kind,
          namespaced: namespaced(kind),
          verbs: ["list", "watch", "delete"],
        })),
      log: (line) => this.log.push(line),
      only: this.#options.controllers,
      ...(this.#options.random ? { random: this.#options.random } : {}),
    });
  }

  async stopControllers(): Promise<void> {
    await this.#controllers?.stop();
    this.#controllers = undefined;
  }

  async stop(): Promise<void> {
    await this.stopControllers();
    await this.#pods.stop();
  }

  all<T extends KubeObject = KubeObject>(kind: Kind): T[] {
    return this.client.all<T>(kind);
  }

  one<T extends KubeObject = KubeObject>(kind: Kind, name: string, namespace = "default"): T {
    const found = this.all<T>(kind).find(
      ({ metadata }) => metadata.name === name && (!metadata.namespace || metadata.namespace === namespace),
    );
    if (!found) throw new Error(`no ${kind.kind} ${name}`);
    return found;
  }

  async create<T extends KubeObject>(
    kind: Kind,
    object: Omit<T, "apiVersion" | "kind"> & { metadata: KubeObject["metadata"] & { name: string } },
  ): Promise<T> {
    const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
    const scope = namespaced(kind) ? { namespace: "default" } : {};
    const full = { apiVersion, kind: kind.kind, ...object } as unknown as KubeObject;
    return this.client.create<T>({ ...kind, ...scope, name: object.metadata.name }, full);
  }

  async patch(kind: Kind, name: string, patch: object, subresource?: string): Promise<KubeObject> {
    const scope = namespaced(kind) ? { namespace: "default" } : {};
    return this.client.patch(
      { ...kind, ...scope, name, ...(subresource ? { subresource } : {}) },
      "application/merge-patch+json",
      patch,
    );
  }

  /** "reason: message" of every event so far. */
  events(): string[] {
    return this.all(kinds.events).map(({ reason, message }) => `${String(reason)}: ${String(message)}`);
  }

  #kubelet(pod: Pod): void {
    const ref = { ...kinds.pods, namespace: pod.metadata.namespace ?? "", name: pod.metadata.name ?? "" };
    if (!pod.spec?.nodeName && pod.metadata.deletionTimestamp === undefined) {
      const named = this.#options.bindToAffinity ? nodeNameOf(pod) : undefined;
      const target = { kind: "Node", name: named ?? `node-${this.#nodes++ % 3}` };
      const binding = { apiVersion: "v1", kind: "Binding", metadata: { name: ref.name }, target };
      void this.client.create({ ...ref, subresource: "binding" }, binding).catch(ignoreGone);
    } else if (pod.metadata.deletionTimestamp !== undefined) {
      const preconditions = { uid: pod.metadata.uid ?? "" };
      this.clock.after(
        this.#options.stopMillis ?? 1000,
        () => void this.client.delete(ref, { gracePeriodSeconds: 0, preconditions }).catch(ignoreGone),
      );
    } else if (pod.status?.phase === "Pending") {
      const wait = this.#options.startMillis ? this.#options.startMillis(pod) : 1000;
      if (wait !== undefined) this.clock.after(wait, () => void this.#run(ref).catch(ignoreGone));
    }
  }

  async #run(ref: {
    group: string;
    version: string;
    resource: string;
    namespace: string;
    name: string;
  }): Promise<void> {
    const pod = await this.client.get<Pod>(ref);
    if (pod.status?.phase !== "Pending" || pod.metadata.deletionTimestamp !== undefined) return;
    const conditions = [{ type: "Ready", status: "True", lastTransitionTime: timestamp(this.clock.now()) }];
    const running = { status: { phase: "Running", conditions } };
    await this.client.patch({ ...ref, subresource: "status" }, "application/merge-patch+json", running);
    const end = this.#options.finish?.(pod);
    if (end) this.clock.after(end.afterMillis, () => void this.#finish(ref, end.exitCode).catch(ignoreGone));
  }

  async #finish(ref: PodRef, exitCode: number): Promise<void> {
    const pod = await this.client.get<Pod>(ref);
    if (pod.status?.phase !== "Running") return;
    const time = timestamp(this.clock.now());
    const status = {
      phase: exitCode === 0 ? "Succeeded" : "Failed",
      conditions: [{ type: "Ready", status: "False", lastTransitionTime: time }],
      containerStatuses: (pod.spec?.containers ?? []).map(({ name }) => ({
        name,
        state: { terminated: { exitCode, finishedAt: time } },
      })),
    };
    await this.client.patch({ ...ref, subresource: "status" }, "application/merge-patch+json", { status });
  }
}

type PodRef = { group: string; version: string; resource: string; namespace: string; name: string };

function ignoreGone(error: unknown): void {
  if (!isStatus(error, "NotFound", "Conflict")) throw error;
}

function namespaced(kind: Kind): boolean {
  return ![
    "nodes",
    "namespaces",
    "certificatesigningrequests",
    "persistentvolumes",
    "storageclasses",
    "clusterroles",
  ].includes(kind.resource);
}
