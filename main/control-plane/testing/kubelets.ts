/** Scheduler and kubelets of a simulation: Pods are placed on nodes that are up, start, end and go, as long as they are. */
import { microTimestamp, timestamp } from "../../../common/kube/clock.ts";
import type { Clock, Timer } from "../../../common/kube/clock.ts";
import { Informer } from "../../../common/kube/informer.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { nodeNameOf } from "../controllers/daemonset/decide.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import { isReady, podRef } from "../controllers/kernel/pods.ts";
import type { FakeClient } from "./fake-client.ts";

const BEAT_MILLIS = 10_000;

export interface KubeletsOptions {
  client: FakeClient;
  clock: Clock;
  /** From bound to ready. */
  startMillis(pod: Pod): number;
  /** How one that runs ends by itself; undefined: never. */
  finish(pod: Pod): { afterMillis: number; exitCode: number } | undefined;
  stopMillis(pod: Pod): number;
}

export class Kubelets {
  readonly #options: KubeletsOptions;
  readonly #pods: Informer<Pod>;
  readonly #up = new Set<string>();
  /** What was begun for a Pod in the state it is in: not begun twice. */
  readonly #begun = new Map<string, string>();
  #next = 0;
  #timer: Timer | undefined;

  constructor(options: KubeletsOptions) {
    this.#options = options;
    this.#pods = new Informer<Pod>(options.client, kinds.pods, { clock: options.clock });
    const look = (pod: Pod): void => this.#look(pod);
    this.#pods.addHandler({
      add: look,
      update: look,
      delete: ({ metadata }) => void this.#begun.delete(metadata.uid ?? ""),
    });
    this.#pods.start();
    this.#beat();
  }

  /** Registers the node, or brings it back. */
  start(name: string): void {
    const { client, clock } = this.#options;
    this.#up.add(name);
    const old = client.all<Node>(kinds.nodes).find(({ metadata }) => metadata.name === name);
    const time = timestamp(clock.now());
    client.put<KubeObject>(kinds.nodes, {
      apiVersion: "v1",
      kind: "Node",
      metadata: old?.metadata ?? { name, labels: { "kubernetes.io/hostname": name } },
      spec: old?.spec ?? {},
      status: {
        conditions: [
          { type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: time, lastTransitionTime: time },
        ],
      },
    } as KubeObject);
    this.#renew(name);
    // What happened meanwhile is seen now, and what was under way begins anew.
    for (const pod of this.#pods.list()) {
      if (pod.spec?.nodeName === name) this.#begun.delete(pod.metadata.uid ?? "");
      this.#look(pod);
      // The node controller said of them that they are not ready.
      const silenced = pod.status?.phase === "Running" && pod.metadata.deletionTimestamp === undefined && !isReady(pod);
      if (pod.spec?.nodeName === name && silenced) void this.#run(pod).catch(ignoreGone);
    }
  }

  /** The machine is off: nothing is heard of it. */
  fail(name: string): void {
    this.#up.delete(name);
  }

  isUp(name: string): boolean {
    return this.#up.has(name);
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#pods.stop();
  }

  #beat(): void {
    for (const name of this.#up) this.#renew(name);
    this.#timer = this.#options.clock.after(BEAT_MILLIS, () => this.#beat());
  }

  #renew(name: string): void {
    const { client, clock } = this.#options;
    client.put<KubeObject>(kinds.leases, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace: "kube-node-lease" },
      spec: { renewTime: microTimestamp(clock.now()) },
    });
  }

  #usable(): string[] {
    const nodes = this.#options.client.all<Node>(kinds.nodes);
    return nodes
      .filter(
        ({ metadata, spec }) => this.#up.has(metadata.name ?? "") && !spec?.unschedulable && !spec?.taints?.length,
      )
      .map(({ metadata }) => metadata.name ?? "");
  }

  #look(pod: Pod): void {
    const { clock } = this.#options;
    const going = pod.metadata.deletionTimestamp !== undefined;
    const node = pod.spec?.nodeName;
    const state = `${node ?? ""}/${pod.status?.phase}/${going}`;
    const uid = pod.metadata.uid ?? "";
    if (node && !this.#up.has(node)) return void this.#begun.delete(uid);
    if (this.#begun.get(uid) === state) return;
    this.#begun.set(uid, state);
    const after = (milliseconds: number, act: () => Promise<unknown>): void => {
      clock.after(milliseconds, () => {
        if (this.#begun.get(uid) !== state || (node && !this.#up.has(node))) return;
        act().catch(ignoreGone);
      });
    };
    if (!node && !going) after(100, () => this.#place(pod, state));
    else if (!node) return;
    else if (going) after(this.#options.stopMillis(pod), () => this.#remove(pod));
    else if (pod.status?.phase === "Pending") after(this.#options.startMillis(pod), () => this.#run(pod));
    else if (pod.status?.phase === "Running") {
      const end = this.#options.finish(pod);
      if (end) after(end.afterMillis, () => this.#end(pod, end.exitCode));
    }
  }

  async #place(pod: Pod, state: string): Promise<void> {
    const nodes = this.#usable();
    const bound = nodeNameOf(pod);
    const name = bound ?? nodes[(this.#next += 1) % Math.max(1, nodes.length)];
    if (name === undefined || !this.#up.has(name)) {
      // Nowhere to go for now.
      this.#options.clock.after(1000, () => {
        if (this.#begun.get(pod.metadata.uid ?? "") !== state) return;
        this.#place(pod, state).catch(ignoreGone);
      });
      return;
    }
    const binding = { apiVersion: "v1", kind: "Binding", metadata: {}, target: { kind: "Node", name } };
    await this.#options.client.create({ ...podRef(pod), subresource: "binding" }, binding);
  }

  /** Says how it ended, then lets it go. */
  async #remove(pod: Pod): Promise<unknown> {
    const ended = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (!ended) {
      const uid = pod.metadata.uid ?? "";
      // The state it will be in belongs to what is under way.
      this.#begun.set(uid, `${pod.spec?.nodeName ?? ""}/Failed/true`);
      await this.#end(pod, 143);
    }
    const preconditions = { uid: pod.metadata.uid ?? "" };
    return this.#options.client.delete(podRef(pod), { gracePeriodSeconds: 0, preconditions });
  }

  #run(pod: Pod): Promise<unknown> {
    const lastTransitionTime = timestamp(this.#options.clock.now());
    const status = { phase: "Running", conditions: [{ type: "Ready", status: "True", lastTransitionTime }] };
    return this.#status(pod, { ...status, podIP: `10.0.0.${1 + ((this.#next += 1) % 250)}` });
  }

  #end(pod: Pod, exitCode: number): Promise<unknown> {
    const finishedAt = timestamp(this.#options.clock.now());
    return this.#status(pod, {
      phase: exitCode === 0 ? "Succeeded" : "Failed",
      conditions: [{ type: "Ready", status: "False", lastTransitionTime: finishedAt }],
      containerStatuses: (pod.spec?.containers ?? []).map(({ name }) => ({
        name,
        state: { terminated: { exitCode, finishedAt } },
      })),
    });
  }

  #status(pod: Pod, status: object): Promise<unknown> {
    return this.#options.client.patch({ ...podRef(pod), subresource: "status" }, "application/merge-patch+json", {
      metadata: { uid: pod.metadata.uid },
      status,
    });
  }
}

function ignoreGone(error: unknown): void {
  if (!isStatus(error, "NotFound", "Conflict")) throw error;
}
