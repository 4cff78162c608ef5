/**
 * The kubelet: one worker for each Pod that the API assigns to this node, and for each whose containers are still
 * here though the API knows it no longer.
 */
import type { Client } from "../../../common/kube/client.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { Watched } from "../api/watched.ts";
import { sleep } from "../command.ts";
import { shortageOf } from "./admission.ts";
import type { KubeletContext } from "./context.ts";
import { podUid } from "./pod.ts";
import { PodWorker } from "./pod-worker.ts";
import { isStatic, MIRROR, runtimePod, StaticPods } from "./static-pods.ts";
import { shutdownPhases } from "./shutdown.ts";
import { monotonicNow } from "../monotonic.ts";

const HOUSEKEEPING = 60_000;
/** How long a killed process may take to end. */
const KILL_MILLIS = 3000;
/** How long a machine that is shut down waits for the API to take its last statuses. */
const STATUS_MILLIS = 5000;

export class Kubelet {
  readonly #context: KubeletContext;
  readonly #pods: Watched<Pod>;
  readonly #workers = new Map<string, PodWorker>();
  #stopping = false;
  readonly #stopListening: () => void;
  readonly #static: StaticPods;

  /** `node`: this node's object, once the API has it. */
  constructor(context: KubeletContext, client: Client, node: () => Node | undefined) {
    this.#context = context;
    this.#pods = new Watched<Pod>(
      client,
      { group: "", version: "v1", resource: "pods" },
      { fieldSelector: `spec.nodeName=${context.node.name}` },
      context.log,
    );
    this.#pods.onChange((changes) => {
      for (const { type, object } of changes) {
        if (object.metadata.annotations?.[MIRROR] !== undefined) this.#static.poke();
        else if (type === "set") this.#set(object);
        else this.#workers.get(podUid(object))?.vanish();
      }
    });
    this.#static = new StaticPods({
      client,
      nodeName: context.node.name,
      log: context.log,
      node,
      mirrors: () =>
        this.#pods.synced
          ? this.#pods.items().filter(({ metadata }) => metadata.annotations?.[MIRROR] !== undefined)
          : undefined,
      changed: (pods) => this.#setStatic(pods),
      mirrored: (uid) => context.statuses.again(uid),
    });
    this.#stopListening = context.cache.onChange((uid) => this.#workers.get(uid)?.wake());
  }

  onPodsChange(listener: () => void): void {
    this.#pods.onChange(listener);
  }

  /** The Pods of this node as the API has them, under the uids that their containers have. */
  pods(): Pod[] {
    return this.#pods.items().map(runtimePod);
  }

  find(namespace: string, name: string): Pod | undefined {
    const pod = this.#pods.get(`${namespace}/${name}`);
    return pod && runtimePod(pod);
  }

  /** Static Pods come and go with their files. */
  #setStatic(pods: Pod[]): void {
    const wanted = new Set(pods.map(podUid));
    for (const worker of this.#workers.values()) if (isStatic(worker.pod) && !wanted.has(worker.uid)) worker.vanish();
    for (const pod of pods) this.#set(pod);
  }

  /** Something outside the Pods has changed (an image was loaded): look at those that wait. */
  wakeAll(): void {
    for (const worker of this.#workers.values()) worker.wake();
  }

  /** Ends a Pod with phase Failed, at once. */
  evict(uid: string, message: string): void {
    this.#workers.get(uid)?.evict(message);
  }

  wake(uid: string): void {
    this.#workers.get(uid)?.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    const watching = this.#pods.run(signal);
    void this.#static.run(signal).catch((error: unknown) => this.#context.log.error("static", "ended", error));
    await Promise.race([this.#pods.whenSynced(), watching]);
    while (!signal.aborted) {
      await this.#adoptOrphans().catch((error: unknown) => this.#context.log.error("kubelet", "housekeeping", error));
      await sleep(HOUSEKEEPING, signal);
    }
    this.#stopListening();
    for (const worker of this.#workers.values()) worker.stop();
    await watching;
  }

  /**
   * Ends every Pod for a shutdown of the machine, the critical ones last. Those of a node that is `leaving` are Failed for
   * their controllers to replace; others go on when the node comes back. Resolves when all have ended or the time is over.
   */
  async shutdown(graceSeconds: number, leaving: boolean): Promise<void> {
    this.#stopping = true;
    const { log, statuses } = this.#context;
    const all = [...this.#workers.values()];
    if (!leaving) for (const worker of all) worker.stop();
    const phases = shutdownPhases(
      all.map(({ pod }) => pod),
      graceSeconds,
    );
    for (const { seconds, pods } of phases) {
      const until = monotonicNow() + seconds * 1000 + KILL_MILLIS;
      const ending = all.map((worker) => {
        const grace = pods.get(worker.uid);
        return grace === undefined ? undefined : worker.shutDown(grace, leaving, until);
      });
      await Promise.all(ending);
      log.info("kubelet", `ended ${pods.size} Pods for the machine's shutdown`);
    }
    if (!leaving) return;
    for (const worker of all) worker.report();
    // What became of them is on its way to the API: it is waited for, since nobody could tell it later.
    await Promise.race([Promise.all(all.map(({ uid }) => statuses.settled(uid))), sleep(STATUS_MILLIS)]);
    for (const worker of all) worker.stop();
  }

  #set(pod: Pod): void {
    if (this.#stopping) return;
    const uid = podUid(pod);
    // A Pod of the same name but another uid: the one before is gone.
    for (const worker of this.#workers.values()) {
      if (
        worker.uid !== uid &&
        worker.pod.metadata.name === pod.metadata.name &&
        worker.pod.metadata.namespace === pod.metadata.namespace
      )
        worker.vanish();
    }
    const worker = this.#workers.get(uid);
    if (worker) return worker.update(pod);
    const { phase } = pod.status ?? {};
    const finished = (phase === "Succeeded" || phase === "Failed") && !pod.metadata.deletionTimestamp;
    if (finished && this.#context.cache.ofPod(uid).every(({ state }) => state !== "running")) return;
    const fresh = !pod.status?.startTime && this.#context.cache.ofPod(uid).length === 0;
    // Pods that were deleted by force leave their room at once, though something of them may still be ending.
    const taken = [...this.#workers.values()]
      .filter(({ refused, gone }) => !refused && !gone)
      .map(({ pod: one }) => one);
    const shortage = fresh ? shortageOf(pod, taken, this.#context.node) : undefined;
    const added = this.#add(pod);
    if (shortage) added.refuse(shortage);
    else added.wake();
  }

  async #collectDisks(): Promise<void> {
    const { volumes, objects, log } = this.#context;
    try {
      for (const name of await volumes.localDisks.collect(objects.persistentVolume))
        log.info("volumes", `removed the data of ${name}`);
    } catch (error) {
      log.error("volumes", "looking for data that nobody claims", error);
    }
  }

  #add(pod: Pod): PodWorker {
    const worker = new PodWorker(this.#context, pod, (uid) => this.#workers.delete(uid));
    this.#workers.set(worker.uid, worker);
    return worker;
  }

  /** Containers and folders of Pods that the API does not know. Only asked once the API's list is complete. */
  async #adoptOrphans(): Promise<void> {
    if (!this.#pods.synced || this.#stopping) return;
    this.#context.network.retain(
      this.#context.cache
        .all()
        .filter(({ state }) => state === "running")
        .map(({ id }) => id),
    );
    await this.#collectDisks();
    const known = new Set([...this.#pods.items(), ...this.#static.pods()].map(podUid));
    const uids = new Set([...this.#context.cache.uids(), ...(await this.#context.volumes.known())]);
    for (const uid of uids) {
      if (known.has(uid) || this.#workers.has(uid)) continue;
      const name = this.#context.cache.ofPod(uid)[0]?.name;
      this.#context.log.info("kubelet", `removing what is left of Pod ${name ? `${name.namespace}/${name.pod}` : uid}`);
      this.#add({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { uid, name: name?.pod ?? uid, namespace: name?.namespace ?? "" },
        spec: { containers: [] },
      } as unknown as Pod).vanish();
    }
  }
}
