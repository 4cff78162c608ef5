/**
 * Leads or waits: of several replicas that run this on one API server, one at a time does the work. As client-go's
 * leaderelection, with one thing more: writes can ask whether we still lead (`confirm`), so that a leader which was
 * frozen, or whose host slept, renews before it writes again, and writes nothing once another has taken over.
 */
import type { Client, ObjectRef } from "../../../common/kube/client.ts";
import { systemClock } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import { EventRecorder } from "../../../common/kube/events.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { STANDARD_TIMING, decideLeader, releasedRecord } from "./record.ts";
import type { Candidate, LeaseRecord, Timing } from "./record.ts";

export interface LeaderElectorOptions {
  client: Client;
  /** The Lease that is held: "kube-system", "kube-controller-manager". Its name is the events' source too. */
  lease: { namespace: string; name: string };
  /** Of no other replica, nor of this one before it was started again. */
  identity: string;
  /** Begins a leader's work; stopped when we lead no more, and then perhaps begun again. */
  lead(): { stop(): Promise<void> };
  /** Asked of the holder that is found at first only. Default: nobody is. */
  isFormerLife?(holder: string): boolean;
  /**
   * No other replica is meant to lead: then a leader whose renewals are late goes on. To stop and begin again would only add to what
   * keeps a busy server from answering; and writes wait for a renewal all the same, and another's Lease still ends the work.
   */
  alone?: boolean;
  timing?: Timing;
  clock?: Clock;
  random?(): number;
  log?(line: string): void;
}

type LeaseObject = KubeObject & { spec?: LeaseRecord };
type Outcome = "held" | "another" | "failed";

/** client-go spreads the tries of candidates by this much of the period. */
const JITTER = 1.2;
/** A candidate that hears nothing of time for so many periods was frozen itself: the time does not count. */
const FROZEN_PERIODS = 5;

export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #clock: Clock;
  readonly #timing: Timing;
  readonly #ref: ObjectRef;
  readonly #events: EventRecorder;
  /** Ends the try that is under way. */
  #trying: AbortController | undefined;
  readonly #first = Promise.withResolvers<void>();
  #loop: Promise<void> | undefined;
  #leading = false;
  #stopped = false;
  /** When the renewal that was granted last was asked for, by both clocks. */
  #renewed = { monotonic: 0, wall: 0 };
  #lease: LeaseObject | undefined;
  #seen: { record: string; unchanged: number; lookedAt: number } | undefined;
  #wake: (() => void) | undefined;
  #attempted = Promise.withResolvers<void>();

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#timing = options.timing ?? STANDARD_TIMING;
    this.#ref = { group: "coordination.k8s.io", version: "v1", resource: "leases", ...options.lease };
    this.#events = new EventRecorder(options.client, {
      source: { component: options.lease.name },
      clock: this.#clock,
      failed: (error) => this.#log(`an event was not written: ${String(error)}`),
    });
  }

  /** True from the beginning of the work to its end. */
  get leading(): boolean {
    return this.#leading;
  }

  /** Resolves after the first try, whoever leads then. Idempotent. */
  start(): Promise<void> {
    this.#loop ??= this.#run();
    return this.#first.promise;
  }

  /** Ends the work, then leaves the Lease to others. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#trying?.abort();
    this.#wake?.();
    this.#attempted.resolve();
    await this.#loop;
  }

  /** Whether nobody else can lead at this moment; asks the API when that is not certain (after a sleep). */
  async confirm(): Promise<boolean> {
    if (this.#holds()) return true;
    if (!this.#leading || this.#stopped) return false;
    const next = this.#attempted.promise;
    this.#wake?.();
    await next;
    return this.#holds();
  }

  #holds(): boolean {
    return this.#leading && this.#sinceRenewed() < this.#timing.leaseDuration;
  }

  /** Some clocks stand still while the host sleeps: the one that went further counts. */
  #sinceRenewed(): number {
    return Math.max(this.#clock.monotonic() - this.#renewed.monotonic, this.#clock.now() - this.#renewed.wall);
  }

  async #run(): Promise<void> {
    const random = this.#options.random ?? Math.random;
    while (!this.#stopped) {
      const outcome = await this.#attempt();
      if (outcome === "held" && !this.#stopped) await this.#lead();
      this.#first.resolve();
      if (!this.#stopped) await this.#pause(this.#timing.retryPeriod * (1 + JITTER * random()));
    }
    this.#first.resolve();
    if (this.#lease?.spec?.holderIdentity === this.#options.identity) await this.#release();
  }

  async #lead(): Promise<void> {
    this.#leading = true;
    const work = this.#options.lead();
    this.#tell("became leader");
    this.#first.resolve();
    while (!this.#stopped) {
      await this.#pause(this.#timing.retryPeriod);
      if (this.#stopped) break;
      const outcome = await this.#attempt();
      if (outcome === "held") continue;
      if (outcome === "another") {
        this.#log("another replica leads");
        break;
      }
      if (!this.#options.alone && this.#sinceRenewed() >= this.#timing.renewDeadline) {
        this.#log(`the lease could not be renewed for ${Math.round(this.#sinceRenewed() / 1000)} s`);
        break;
      }
    }
    // Stopped in order, it is ours to the end; lost, nothing more may be written.
    if (!this.#stopped) this.#leading = false;
    this.#attempted.resolve();
    await work.stop();
    this.#leading = false;
    this.#tell("stopped leading");
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(milliseconds, () => this.#wake?.());
      this.#wake = () => {
        timer.cancel();
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** One try, which ends in time whatever the server does. */
  async #attempt(): Promise<Outcome> {
    const asked = { monotonic: this.#clock.monotonic(), wall: this.#clock.now() };
    const { renewDeadline, retryPeriod } = this.#timing;
    const left = this.#leading ? Math.max(retryPeriod, renewDeadline - this.#sinceRenewed()) : renewDeadline;
    const late = new AbortController();
    this.#trying = late;
    const deadline = Promise.withResolvers<Outcome>();
    const timer = this.#clock.after(left, () => {
      late.abort();
      this.#log(`no answer within ${Math.round(left / 1000)} s`);
      deadline.resolve("failed");
    });
    const trying = this.#try(late.signal).catch((error: unknown): Outcome => {
      if (!late.signal.aborted && !this.#stopped) this.#log(error instanceof Error ? error.message : String(error));
      return "failed";
    });
    const outcome = await Promise.race([trying, deadline.promise]);
    timer.cancel();
    if (outcome === "held") this.#renewed = asked;
    this.#attempted.resolve();
    this.#attempted = Promise.withResolvers();
    return outcome;
  }

  async #try(signal: AbortSignal): Promise<Outcome> {
    const { client } = this.#options;
    // As long as nobody else writes it, a renewal is one request.
    if (this.#leading && this.#lease) {
      const outcome = await this.#write(this.#lease, signal);
      if (outcome !== "failed") return outcome;
    }
    let there: LeaseObject | undefined;
    try {
      there = await client.get<LeaseObject>(this.#ref, { signal });
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
    if (signal.aborted) return "failed";
    return this.#write(there, signal);
  }

  /** "failed" when somebody else wrote it first. */
  async #write(there: LeaseObject | undefined, signal: AbortSignal): Promise<Outcome> {
    const { client, identity, isFormerLife, lease } = this.#options;
    const isFirst = this.#seen === undefined;
    const candidate: Candidate = {
      identity,
      timing: this.#timing,
      isFormerLife: (holder) => isFirst && (isFormerLife?.(holder) ?? false),
    };
    const step = decideLeader(there?.spec, candidate, this.#look(there?.spec), this.#clock.now());
    if (step.do === "wait") {
      this.#lease = undefined;
      return "another";
    }
    try {
      const written = there
        ? await client.update<LeaseObject>(this.#ref, { ...there, spec: step.record }, { signal })
        : await client.create<LeaseObject>(
            this.#ref,
            { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { ...lease }, spec: step.record },
            { signal },
          );
      if (signal.aborted && !this.#stopped) return "failed";
      this.#lease = written;
      this.#look(written.spec);
      return "held";
    } catch (error) {
      if (!isStatus(error, "Conflict", "AlreadyExists", "NotFound")) throw error;
      this.#lease = undefined;
      return this.#leading ? "failed" : "another";
    }
  }

  /** How long the record has been as it is, in time that we were awake. */
  #look(record: LeaseRecord | undefined): number {
    const now = this.#clock.monotonic();
    const text = JSON.stringify(record ?? null);
    const since = this.#seen ? now - this.#seen.lookedAt : 0;
    const awake = Math.min(since, FROZEN_PERIODS * this.#timing.retryPeriod);
    const unchanged = this.#seen?.record === text ? this.#seen.unchanged + awake : 0;
    this.#seen = { record: text, unchanged, lookedAt: now };
    return unchanged;
  }

  async #release(): Promise<void> {
    const lease = this.#lease as LeaseObject;
    try {
      const spec = releasedRecord(lease.spec ?? {}, this.#clock.now());
      await this.#options.client.update(this.#ref, { ...lease, spec });
    } catch (error) {
      // Others find it old, then.
      if (!isStatus(error, "Conflict", "NotFound")) this.#log(`the lease was not released: ${String(error)}`);
    }
  }

  #tell(what: string): void {
    const { identity, lease } = this.#options;
    const uid = this.#lease?.metadata.uid ?? "";
    const about = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", ...lease, uid };
    this.#events.record(about, "Normal", "LeaderElection", `${identity} ${what}`);
  }

  #log(line: string): void {
    this.#options.log?.(`${this.#options.lease.name}: ${line}`);
  }
}
