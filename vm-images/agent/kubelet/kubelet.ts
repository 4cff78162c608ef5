/**
 * The kubelet: one worker for each Pod that the API assigns to this node, and for each whose containers are still
 * here though the API knows it no longer.
 */
import type { Client } from "../../../common/kube/client.ts";
import type { Pod } from "../../../common/kube/types.ts";
import { Watched } from "../api/watched.ts";
import { sleep } from "../command.ts";
import type { KubeletContext } from "./context.ts";
import { podUid, viewOf } from "./pod.ts";
import { PodWorker } from "./pod-worker.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { shutdownPhases } from "./shutdown.ts";

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

  constructor(context: KubeletContext, client: Client) {
    this.#context = context;
    this.#pods = new Watched<Pod>(
      client,
      { group: "", version: "v1", resource: "pods" },
      { fieldSelector: `spec.nodeName=${context.node.name}` },
      context.log,
    );
    this.#pods.onChange((changes) => {
      for (const { type, object } of changes) {
        if (type === "set") this.#set(object);
        else this.#workers.get(podUid(object))?.vanish();
      }
    });
    this.#stopListening = context.cache.onChange((uid) => this.#workers.get(uid)?.wake());
  }

  onPodsChange(listener: () => void): void {
    this.#pods.onChange(listener);
  }

  /** The Pods of this node as the API has them. */
  pods(): Pod[] {
    return this.#pods.items();
  }

  find(namespace: string, name: string): Pod | undefined {
    return this.#pods.get(`${namespace}/${name}`);
  }

  /** Something outside the Pods has changed (an image was loaded): look at those that wait. */
  wakeAll(): void {
    for (const worker of this.#workers.values()) worker.wake();
  }

  /** Ends a Pod with phase Failed. */
  end(uid: string, reason: string, message: string): void {
    this.#workers.get(uid)?.end(reason, message);
  }

  wake(uid: string): void {
    this.#workers.get(uid)?.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    const watching = this.#pods.run(signal);
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
    const { cache, log, statuses } = this.#context;
    const running = (uids: Iterable<string>): RuntimeContainer[] =>
      [...uids].flatMap((uid) => viewOf(cache.ofPod(uid)).containers.filter(({ state }) => state === "running"));
    const all = [...this.#workers.values()];
    if (!leaving) for (const worker of all) worker.stop();
    const phases = shutdownPhases(
      all.map(({ pod }) => pod),
      graceSeconds,
    );
    for (const { seconds, pods } of phases) {
      const until = Date.now() + seconds * 1000 + KILL_MILLIS;
      const containers = running(pods.keys());
      for (const worker of all) {
        const grace = pods.get(worker.uid);
        if (grace !== undefined) worker.shutDown(grace, leaving);
      }
      await Promise.all(containers.map(({ id }) => cache.waitExit(id, until - Date.now())));
      log.info("kubelet", `stopped ${containers.length} containers of ${pods.size} Pods`);
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
    this.#add(pod).wake();
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
    const known = new Set(this.#pods.items().map(podUid));
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
