/** What must be true of a simulated cluster at every moment, and in the end. Each breach is an Error that says what broke. */
import { Informer } from "../../../../common/kube/informer.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { rollingBounds, resolve } from "../deployment/arithmetic.ts";
import type { ReplicaSetObject } from "../deployment/model.ts";
import { Indexes } from "../job/indexes.ts";
import { finished, indexOf } from "../job/model.ts";
import type { JobObject } from "../job/model.ts";
import { kinds } from "../kernel/kinds.ts";
import { controllerOf } from "../kernel/ownership.ts";
import { isActive, isReady, isTerminated } from "../kernel/pods.ts";
import type { World } from "./world.ts";
import { counted } from "./world.ts";

const QUIET_MILLIS = 600_000;
/** What was asked for may need so long until it is so, before "at every moment" begins to count. */
const SETTLE_MILLIS = 60_000;

/** What controllers knew when somebody interfered may be as old as this. */
const DISTURBED_MILLIS = 15_000;

const ordinalOf = (pod: Pod): number => Number(pod.metadata.name?.split("-")[1]);
const isWell = (pod: Pod): boolean => isReady(pod) && pod.metadata.deletionTimestamp === undefined;
const imageOf = (pod: Pod): string | undefined => pod.spec?.containers[0]?.image;

export class Invariants {
  readonly #world: World;
  /** Answers may be lost: whoever asks again makes a second Pod, as in Kubernetes, and removes it when it is seen. */
  readonly #doubles: boolean;
  /** Told of every change as the API makes it, not as the controllers hear of it. */
  readonly #pods: Informer<Pod>;
  readonly #broken: string[] = [];
  #treatedAt = 0;
  /** When somebody else than the controllers last changed how many there are, or took some away. */
  readonly #disturbedAt = new Map<string, number>();
  /** When a user last asked for another number of them. */
  readonly #scaledAt = new Map<string, number>();
  /** As many of web as must be there have been there since. */
  #webReached = false;
  #mostWanted = 0;
  #doneJobs = new Map<string, string>();

  constructor(world: World, doubles: boolean) {
    this.#world = world;
    this.#doubles = doubles;
    this.#pods = new Informer<Pod>(world.client, kinds.pods, { clock: world.clock });
    this.#pods.addHandler({
      add: (pod) => this.#created(pod),
      update: (pod, old) => {
        if (pod.metadata.deletionTimestamp !== undefined && old.metadata.deletionTimestamp === undefined)
          this.#going(pod);
      },
    });
    this.#pods.start();
  }

  stop(): Promise<void> {
    return this.#pods.stop();
  }

  /** A user wants another number of these. */
  scaled(name: string): void {
    this.#scaledAt.set(name, this.#world.clock.monotonic());
  }

  /** A user did something: what was so may have to become so again. `disturbed`: Pods of this workload come or go by it. */
  treated(disturbed?: string): void {
    this.#treatedAt = this.#world.clock.monotonic();
    if (disturbed !== undefined) this.#disturbedAt.set(disturbed, this.#world.clock.monotonic());
    if (disturbed === "web") this.#webReached = false;
    this.#mostWanted = Math.max(this.#mostWanted, this.#replicas("web"));
  }

  /** So many ready Pods of the budget were evicted, one after another in one moment. */
  drained(granted: number, spare: number): void {
    check(granted <= Math.max(0, spare), `${granted} Pods were evicted where the budget had ${spare} to spare`);
  }

  look(): void {
    check(this.#broken.length === 0, this.#broken.join("; "));
    this.#quota();
    this.#deployment();
    this.#statefulSet();
    this.#daemonSet();
    for (const job of this.#world.client.all<JobObject>(kinds.jobs)) this.#job(job);
  }

  #replicas(name: string): number {
    return (this.#world.spec(name)?.["replicas"] as number | undefined) ?? 0;
  }

  #wanted(name: string): string | undefined {
    const spec = this.#world.spec(name) as { template: { spec: { containers: { image: string }[] } } } | undefined;
    return spec?.template.spec.containers[0]?.image;
  }

  #settled(): boolean {
    return this.#world.clock.monotonic() - this.#treatedAt > SETTLE_MILLIS;
  }

  #quota(): void {
    if (!this.#world.hasQuota) return;
    const [quota] = this.#world.client.all(kinds.resourceQuotas);
    const spec = quota?.spec as { hard: { pods: string } } | undefined;
    const hard = Number(spec?.hard.pods ?? 0);
    const pods = counted(this.#world.pods()).length;
    check(pods <= hard, `${pods} Pods where the quota allows ${hard}`);
  }

  #deployment(): void {
    const spec = this.#world.spec("web");
    if (!spec) return;
    const replicas = this.#replicas("web");
    this.#mostWanted = Math.max(this.#mostWanted, replicas);
    const { maxSurge, maxUnavailable } = (
      spec["strategy"] as { rollingUpdate: { maxSurge: number; maxUnavailable: number } }
    ).rollingUpdate;
    const { surge } = rollingBounds(maxSurge, maxUnavailable, this.#mostWanted);
    const sizes = this.#world.client
      .all<ReplicaSetObject>(kinds.replicaSets)
      .reduce((sum, set) => sum + (set.spec.replicas ?? 0), 0);
    check(
      sizes <= this.#mostWanted + surge,
      `ReplicaSets want ${sizes} Pods, ${this.#mostWanted} + ${surge} are allowed`,
    );
    if (this.#world.mood !== "gentle") return;
    const { unavailable } = rollingBounds(maxSurge, maxUnavailable, replicas);
    const ready = this.#world.pods("web").filter((pod) => isActive(pod) && isReady(pod)).length;
    const enough = ready >= replicas - unavailable;
    this.#webReached ||= enough && this.#undisturbed("web");
    if (this.#webReached)
      check(enough, `${ready} Pods of web are ready, of ${replicas} only ${unavailable} may be missing`);
  }

  #undisturbed(name: string): boolean {
    return this.#world.clock.monotonic() - (this.#disturbedAt.get(name) ?? 0) > DISTURBED_MILLIS;
  }

  #isOrdered(): boolean {
    return this.#world.mood === "gentle" && this.#world.spec("db")?.["podManagementPolicy"] === "OrderedReady";
  }

  /** A StatefulSet's Pod is made when all before it are well. */
  #created(pod: Pod): void {
    if (pod.metadata.labels?.["app"] !== "db" || !this.#isOrdered() || !this.#undisturbed("db")) return;
    for (const before of Array.from({ length: ordinalOf(pod) }, (_, at) => `db-${at}`)) {
      const there = this.#pods.get(`default/${before}`);
      const well = there && isReady(there) && there.metadata.deletionTimestamp === undefined;
      if (!well) this.#broken.push(`${pod.metadata.name} was made while ${before} was not ready`);
    }
  }

  /** Of those that are too many the last goes first; of those that are replaced only so many are missing at once. */
  #going(pod: Pod): void {
    if (pod.metadata.labels?.["app"] !== "db" || !this.#isOrdered() || !this.#undisturbed("db")) return;
    const own = ordinalOf(pod);
    const lately = this.#world.clock.monotonic() - (this.#scaledAt.get("db") ?? 0) <= DISTURBED_MILLIS;
    if (own < this.#replicas("db")) {
      const others = this.#world.pods("db").filter((other) => ordinalOf(other) !== own && isWell(other));
      const missing = this.#replicas("db") - 1 - others.length;
      if (!lately && missing >= this.#mostMissing())
        this.#broken.push(`${pod.metadata.name} was taken for its image while ${missing} others were missing at once`);
      return;
    }
    // Just before somebody wanted fewer it may have been taken for its image, which asks for no such order.
    if (lately && imageOf(pod) !== this.#wanted("db")) return;
    const after = this.#world.pods("db").filter((other) => ordinalOf(other) > own);
    if (after.length > 0) this.#broken.push(`${pod.metadata.name} was given up before ${after[0]?.metadata.name}`);
  }

  #mostMissing(): number {
    const strategy = this.#world.spec("db")?.["updateStrategy"] as { rollingUpdate: { maxUnavailable?: number } };
    return Math.max(1, resolve(strategy.rollingUpdate.maxUnavailable ?? 1, this.#replicas("db"), "up"));
  }

  #statefulSet(): void {
    const spec = this.#world.spec("db");
    if (!spec || spec["podManagementPolicy"] !== "OrderedReady" || this.#world.mood !== "gentle") return;
    const pods = this.#world.pods("db");
    const ordinals = pods.map((pod) => Number(pod.metadata.name?.split("-")[1])).toSorted((a, b) => a - b);
    check(new Set(ordinals).size === ordinals.length, `two Pods of one ordinal: ${ordinals.join(", ")}`);
    // Only one at a time is on its way: not ready yet, or going.
    const moving = pods.filter((pod) => !isReady(pod) || pod.metadata.deletionTimestamp !== undefined);
    const most = this.#mostMissing();
    // A drain may take more.
    if (this.#settled()) check(moving.length <= most, `${moving.length} Pods of db are on their way at once`);
  }

  #daemonSet(): void {
    const spec = this.#world.spec("agent");
    if (this.#doubles || !spec) return;
    const { maxSurge = 0 } = (spec["updateStrategy"] as { rollingUpdate: { maxSurge?: number } }).rollingUpdate;
    const byNode = Map.groupBy(
      this.#world.pods("agent").filter((pod) => isActive(pod) && pod.spec?.nodeName),
      (pod) => pod.spec?.nodeName,
    );
    for (const [node, pods] of byNode)
      check(pods.length <= 1 + (maxSurge > 0 ? 1 : 0), `${pods.length} daemons on ${node}`);
  }

  #job(job: JobObject): void {
    const { completions = 1, completionMode } = job.spec;
    const { succeeded = 0, completedIndexes } = job.status ?? {};
    const pods = this.#world.pods().filter((pod) => controllerOf(pod)?.uid === job.metadata.uid);
    const name = job.metadata.name ?? "";
    if (completionMode === "Indexed") {
      const done = Indexes.parse(completedIndexes);
      check(done.size <= completions, `${name} completed ${done.size} of ${completions} indexes`);
      check(succeeded <= completions, `${name} counts ${succeeded} successes of ${completions}`);
    }
    if (!this.#doubles) {
      check(succeeded <= completions, `${name} counts ${succeeded} successes of ${completions}`);
      const active = pods.filter(isActive);
      if (completionMode === "Indexed")
        check(new Set(active.map(indexOf)).size === active.length, `${name} runs an index twice`);
      if (this.#settled()) check(active.length <= (job.spec.parallelism ?? 1), `${name} runs ${active.length} at once`);
    }
    const end = finished(job);
    const uid = job.metadata.uid ?? "";
    const known = this.#doneJobs.get(uid);
    const state = JSON.stringify([end?.type, succeeded, job.status?.failed ?? 0]);
    if (known !== undefined) check(known === state, `${name} was over with ${known}, and is now ${state}`);
    if (end) this.#doneJobs.set(uid, state);
    if (end)
      check(
        pods.every((pod) => !isActive(pod)),
        `${name} is over and runs Pods`,
      );
  }

  /** After everything has healed. */
  final(): void {
    const { client } = this.#world;
    const web = this.#world.spec("web");
    const active = (app: string): Pod[] => this.#world.pods(app).filter(isActive);
    if (web) {
      equals(
        "images of web",
        active("web").map(imageOf),
        Array.from({ length: this.#replicas("web") }, () => this.#wanted("web")),
      );
      const status = client.all(kinds.deployments)[0]?.status as {
        availableReplicas?: number;
        updatedReplicas?: number;
      };
      equals("availableReplicas of web", status.availableReplicas ?? 0, this.#replicas("web"));
    }
    const db = this.#world.spec("db");
    if (db) {
      const { partition = 0 } = (db["updateStrategy"] as { rollingUpdate: { partition?: number } }).rollingUpdate;
      const pods = active("db").toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1));
      equals(
        "Pods of db",
        pods.map(({ metadata }) => metadata.name),
        Array.from({ length: this.#replicas("db") }, (_, at) => `db-${at}`),
      );
      equals(
        "images of db",
        pods.slice(partition).map(imageOf),
        pods.slice(partition).map(() => this.#wanted("db")),
      );
      check(pods.every(isReady), "a Pod of db is not ready");
    }
    if (this.#world.spec("agent")) {
      const nodes = client.all(kinds.nodes).map(({ metadata }) => metadata.name);
      equals(
        "daemons",
        active("agent")
          .map(({ spec }) => spec?.nodeName)
          .toSorted(),
        nodes.toSorted(),
      );
      equals(
        "images of agent",
        active("agent").map(imageOf),
        nodes.map(() => this.#wanted("agent")),
      );
    }
    if (this.#world.spec("old")) equals("Pods of old", active("old").length, this.#replicas("old"));
    for (const job of client.all<JobObject>(kinds.jobs)) {
      check(finished(job) !== undefined, `${job.metadata.name} does not end: ${JSON.stringify(job.status)}`);
      const left = this.#world
        .pods()
        .filter(({ metadata }) => metadata.finalizers && controllerOf({ metadata } as Pod)?.uid === job.metadata.uid);
      equals(`Pods that ${job.metadata.name} holds`, left.length, 0);
    }
    for (const name of ["web", "db"]) {
      const addresses = client
        .all<KubeObject & { endpoints?: { conditions: { ready?: boolean }; targetRef: { uid: string } }[] }>(
          kinds.endpointSlices,
        )
        .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === name)
        .flatMap(({ endpoints = [] }) => endpoints.filter(({ conditions }) => conditions.ready))
        .map(({ targetRef }) => targetRef.uid);
      const ready = active(name).filter(isReady);
      equals(`endpoints of ${name}`, addresses.toSorted(), ready.map(({ metadata }) => metadata.uid ?? "").toSorted());
    }
    const stuck = this.#world
      .pods()
      .filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isTerminated(pod));
    equals(
      "Pods on their way out",
      stuck.map(({ metadata }) => metadata.name),
      [],
    );
  }

  /** Nothing is written any more once all is as it should be. */
  async quiet(): Promise<void> {
    const { client, clock } = this.#world;
    const before = client.writes.length;
    await clock.advance(QUIET_MILLIS);
    equals("writes in ten quiet minutes", client.writes.slice(before), []);
  }

  /** The workloads were deleted: nothing of theirs is left. */
  empty(): void {
    const { client } = this.#world;
    const left = [kinds.pods, kinds.replicaSets, kinds.jobs, kinds.controllerRevisions].flatMap((kind) =>
      client.all(kind).map(({ metadata }) => `${kind.kind} ${metadata.name}`),
    );
    equals("orphans", left, []);
    const claims = client.all(kinds.persistentVolumeClaims).flatMap(({ metadata }) => metadata.ownerReferences ?? []);
    equals("claims with owners that are gone", claims, []);
  }
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

function equals(what: string, seen: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what}: ${a}, wanted ${b}`);
}
