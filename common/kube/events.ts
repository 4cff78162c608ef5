/**
 * Tells users what happens to an object, as core/v1 Events. The same event again raises the count of the
 * first; many that differ only in their message become one; an object that never stops talking is cut
 * short. Limits as in client-go's record package. Writing never blocks or fails the teller.
 */
import type { Client } from "./client.ts";
import { systemClock, timestamp } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { KubeObject, ObjectMeta } from "./object.ts";
import { isStatus } from "./status.ts";

export interface ObjectReference {
  apiVersion: string;
  kind: string;
  namespace?: string;
  name: string;
  uid: string;
  resourceVersion?: string;
  fieldPath?: string;
}

export interface EventSource {
  /** Shown by kubectl describe as From: "deployment-controller". */
  component: string;
  host?: string;
}

export interface EventRecorderOptions {
  source: EventSource;
  clock?: Clock;
  /** Told of events that could not be written. Default: silence. */
  failed?(error: unknown): void;
}

const EVENTS = { group: "", version: "v1", resource: "events" };
/** Tokens per source and object, and the time one takes to come back. */
const BURST = 25;
const REFILL_MILLIS = 300_000;
/** So many events of one reason within the interval become one. */
const SIMILAR = 10;
const SIMILAR_MILLIS = 600_000;
/** How many events and objects are remembered, and how many may wait to be written. */
const REMEMBERED = 4096;
const WAITING = 1000;
const CONCURRENT_WRITES = 16;
const WRITE_MILLIS = 30_000;

interface Written {
  namespace: string;
  name: string;
  count: number;
  /** The write in front of the next one of the same event. */
  last: Promise<void>;
}

/** The least recently used falls out. */
class Recent<V> {
  readonly #entries = new Map<string, V>();

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > REMEMBERED) this.#entries.delete(this.#entries.keys().next().value as string);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}

export class EventRecorder {
  readonly #client: Client;
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #written = new Recent<Written>();
  readonly #budgets = new Recent<{ tokens: number; at: number }>();
  readonly #similar = new Recent<{ messages: Set<string>; at: number }>();
  readonly #queue: (() => Promise<void>)[] = [];
  #writing = 0;
  #sequence = 0;
  #dropped = 0;

  constructor(client: Client, options: EventRecorderOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Events that were given up because too many waited. */
  get dropped(): number {
    return this.#dropped;
  }

  /** `reason` is one CamelCase word, `message` a sentence for people; `host` instead of the source's, where one speaks for many. */
  record(
    about: KubeObject | ObjectReference,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
    host = this.#options.source.host,
  ): void {
    const object = referenceTo(about);
    const now = this.#clock.now();
    if (!this.#spend(`${object.uid}/${object.namespace ?? ""}/${object.name}`, now)) return;
    const text = this.#aggregate([object.uid, object.fieldPath, type, reason].join("|"), message, now);
    const key = [object.uid, object.fieldPath, type, reason, text.key].join("|");
    if (this.#queue.length >= WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#queue.push(() => this.#write(key, object, type, reason, text.message.slice(0, 1024), now, host));
    this.#next();
  }

  #next(): void {
    while (this.#writing < CONCURRENT_WRITES) {
      const write = this.#queue.shift();
      if (!write) return;
      this.#writing += 1;
      void write()
        .catch((error: unknown) => this.#options.failed?.(error))
        .finally(() => {
          this.#writing -= 1;
          this.#next();
        });
    }
  }

  #spend(key: string, now: number): boolean {
    const budget = this.#budgets.get(key) ?? { tokens: BURST, at: now };
    budget.tokens = Math.min(BURST, budget.tokens + Math.max(0, now - budget.at) / REFILL_MILLIS);
    budget.at = now;
    this.#budgets.set(key, budget);
    if (budget.tokens < 1) return false;
    budget.tokens -= 1;
    return true;
  }

  #aggregate(group: string, message: string, now: number): { key: string; message: string } {
    let seen = this.#similar.get(group);
    if (!seen || now - seen.at > SIMILAR_MILLIS) seen = { messages: new Set(), at: now };
    seen.at = now;
    seen.messages.add(message);
    this.#similar.set(group, seen);
    if (seen.messages.size < SIMILAR) return { key: message, message };
    // Bounded: from here on the count of different messages no longer matters.
    if (seen.messages.size > 2 * SIMILAR) seen.messages.delete(seen.messages.values().next().value as string);
    return { key: "(combined)", message: `(combined from similar events): ${message}` };
  }

  async #write(
    key: string,
    object: ObjectReference,
    type: string,
    reason: string,
    message: string,
    at: number,
    host: string | undefined,
  ): Promise<void> {
    const known = this.#written.get(key);
    if (known) {
      known.count += 1;
      const { count } = known;
      known.last = known.last.then(() => this.#again(key, known, count, message, at));
      return known.last;
    }
    const namespace = object.namespace || "default";
    this.#sequence += 1;
    const unique = (BigInt(Math.floor(at)) * 1_000_000n + BigInt(this.#sequence % 1_000_000)).toString(16);
    const name = `${object.name}.${unique}`;
    const { component } = this.#options.source;
    const time = timestamp(at);
    const event: KubeObject = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace },
      involvedObject: object,
      reason,
      message,
      type,
      source: { component, ...(host === undefined ? {} : { host }) },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
      reportingComponent: component,
      reportingInstance: host ?? "",
    };
    const written: Written = { namespace, name, count: 1, last: Promise.resolve() };
    this.#written.set(key, written);
    written.last = this.#create(key, event);
    return written.last;
  }

  async #create(key: string, event: KubeObject): Promise<void> {
    const { namespace = "default", name = "" } = event.metadata;
    try {
      await this.#client.create({ ...EVENTS, namespace, name }, event, { signal: AbortSignal.timeout(WRITE_MILLIS) });
    } catch (error) {
      this.#written.delete(key);
      // The namespace is going away: nobody will read it.
      if (!isStatus(error, "Forbidden", "NotFound")) this.#options.failed?.(error);
    }
  }

  async #again(key: string, { namespace, name }: Written, count: number, message: string, at: number): Promise<void> {
    try {
      await this.#client.patch(
        { ...EVENTS, namespace, name },
        "application/merge-patch+json",
        { count, message, lastTimestamp: timestamp(at) },
        { signal: AbortSignal.timeout(WRITE_MILLIS) },
      );
    } catch (error) {
      this.#written.delete(key);
      if (!isStatus(error, "NotFound", "Forbidden")) this.#options.failed?.(error);
    }
  }
}

/** The reference under which kubectl describe finds an object's events. */
export function referenceTo(about: KubeObject | ObjectReference): ObjectReference {
  if (!("metadata" in about)) return about as ObjectReference;
  const { namespace, name = "", uid = "", resourceVersion } = about.metadata as ObjectMeta;
  return {
    apiVersion: about.apiVersion,
    kind: about.kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    uid,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}
