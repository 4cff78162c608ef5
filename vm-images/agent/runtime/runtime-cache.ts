/**
 * What the runtime holds, kept in memory: filled by listing, kept fresh by the runtime's events, checked
 * by listing again now and then. The kubelet decides on this; no call to the runtime is needed to look.
 */
import { sleep } from "../command.ts";
import type { Log } from "../log.ts";
import { isPooledSandbox, parseContainerName } from "./names.ts";
import type { Runtime, RuntimeContainer } from "./runtime.ts";

/** Milliseconds between two listings when events come in. */
const RELIST = 60_000;
const RECONNECT = 1000;

export class RuntimeCache {
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #containers = new Map<string, RuntimeContainer>();
  readonly #listeners = new Set<(uid: string) => void>();
  readonly #waiters = new Map<string, Set<() => void>>();

  constructor(runtime: Runtime, log: Log) {
    this.#runtime = runtime;
    this.#log = log;
  }

  /** Told the Pod's uid whenever one of its containers has changed. Returns the way to stop. */
  onChange(listener: (uid: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  all(): RuntimeContainer[] {
    return [...this.#containers.values()];
  }

  get(id: string): RuntimeContainer | undefined {
    return this.#containers.get(id);
  }

  ofPod(uid: string): RuntimeContainer[] {
    return this.all().filter((container) => container.name?.uid === uid);
  }

  uids(): Set<string> {
    return new Set(this.all().flatMap((container) => (container.name ? [container.name.uid] : [])));
  }

  /** Resolves true when the container does not run (any more), false after `milliseconds`. */
  async waitExit(id: string, milliseconds: number): Promise<boolean> {
    if (this.#containers.get(id)?.state !== "running") return true;
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const end = (exited: boolean): void => {
        clearTimeout(timer);
        waiters.delete(done);
        resolve(exited);
      };
      const done = (): void => end(true);
      const timer = setTimeout(() => end(false), Math.max(0, milliseconds));
      waiters.add(done);
    });
  }

  /** Looks at one container again. */
  async refresh(id: string): Promise<RuntimeContainer | undefined> {
    const container = await this.#runtime.inspect(id);
    this.#set(id, container);
    return container;
  }

  /** Lists; looks closer only at what differs. */
  async relist(): Promise<void> {
    const listed = await this.#runtime.list();
    const ids = new Set(listed.map(({ id }) => id));
    for (const id of this.#containers.keys()) if (!ids.has(id)) this.#set(id, undefined);
    for (const { id, name, state } of listed) {
      const known = this.#containers.get(id);
      const running = state === "running" || state === "paused" || state === "restarting";
      // Another name: it was given to a Pod, and the answer to that was lost.
      const same = known && known.name?.uid === parseContainerName(name)?.uid;
      if (same && (known.state === "running") === running && !(known.state === "created" && state === "exited"))
        continue;
      await this.refresh(id);
    }
  }

  /** Follows the runtime's events until the signal aborts; survives the runtime's restarts. */
  async run(signal: AbortSignal): Promise<void> {
    let lost = false;
    while (!signal.aborted) {
      const listing = new AbortController();
      try {
        const events = await this.#runtime.events(signal);
        // Only now: what happens from here on comes as an event.
        await this.relist();
        if (lost) this.#log.info("runtime", "Docker answers again");
        lost = false;
        void this.#relistRegularly(AbortSignal.any([signal, listing.signal]));
        for await (const event of events) {
          if (isPooledSandbox(event.name) || parseContainerName(event.name)) await this.refresh(event.id);
        }
      } catch (error) {
        if (!lost) this.#log.error("runtime", "lost Docker", error);
        lost = true;
      } finally {
        listing.abort();
      }
      await sleep(RECONNECT, signal);
    }
  }

  async #relistRegularly(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(RELIST, signal);
      if (signal.aborted) return;
      await this.relist().catch((error: unknown) => this.#log.error("runtime", "relist", error));
    }
  }

  #set(id: string, container: RuntimeContainer | undefined): void {
    const old = this.#containers.get(id);
    if (container) this.#containers.set(id, container);
    else this.#containers.delete(id);
    if (container?.state !== "running") {
      for (const waiter of this.#waiters.get(id) ?? []) waiter();
      this.#waiters.delete(id);
    }
    const uid = container?.name?.uid ?? old?.name?.uid;
    if (uid !== undefined && (old?.state !== container?.state || old?.name?.uid !== container?.name?.uid)) {
      for (const listener of this.#listeners) listener(uid);
    }
  }
}
