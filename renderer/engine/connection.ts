/**
 * Keeps one connection to the engine alive: connects, notices when it is lost, tries again with
 * growing pauses, and re-opens every subscription when it is back. Nothing here is about the screen.
 */
import { shallowRef, type ShallowRef } from "vue";
import type { Connect, EngineClient, EngineLink } from "./transport.ts";

export type ConnectionState =
  | { kind: "connecting"; attempt: number }
  | { kind: "connected"; since: number }
  /** Was connected, or never got there; `retryAt` is when the next attempt begins (Unix ms). */
  | { kind: "lost"; reason: string; attempt: number; retryAt: number };

export interface Subscription<T> {
  open: (client: EngineClient, signal: AbortSignal) => Promise<AsyncIterable<T>>;
  next: (value: T) => void;
  /** A failure while the connection itself is fine. The stream is opened again after a pause unless this returns "stop". */
  failed?: (error: unknown) => "stop" | undefined;
  /** Called when the stream ended by itself; without it an ended stream is opened again. */
  ended?: () => void;
}

export interface Connection {
  readonly state: ShallowRef<ConnectionState>;
  /** The client, once connected. Rejects only when the signal aborts. */
  client(signal?: AbortSignal): Promise<EngineClient>;
  /** Keeps a stream open across reconnects until the returned function is called. */
  subscribe<T>(subscription: Subscription<T>): () => void;
  retryNow(): void;
  dispose(): void;
}

const CONNECT_DEADLINE_MS = 10_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

/** 250 ms, doubling to 5 s. */
export function pauseBefore(attempt: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempt, 10), LONGEST_PAUSE_MS);
}

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}

export function createConnection(connect: Connect): Connection {
  const state = shallowRef<ConnectionState>({ kind: "connecting", attempt: 0 });
  const life = new AbortController();
  const waiting = new Set<(link: EngineLink) => void>();
  let link: EngineLink | undefined;
  let wake = new AbortController();

  async function keepConnected(): Promise<void> {
    let attempt = 0;
    while (!life.signal.aborted) {
      state.value = { kind: "connecting", attempt };
      let reason: string;
      try {
        link = await connect(AbortSignal.any([life.signal, AbortSignal.timeout(CONNECT_DEADLINE_MS)]));
        attempt = 0;
        state.value = { kind: "connected", since: Date.now() };
        for (const resolve of waiting) resolve(link);
        waiting.clear();
        reason = await link.closed;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      link = undefined;
      if (life.signal.aborted) return;
      const ms = pauseBefore(attempt);
      attempt += 1;
      state.value = { kind: "lost", reason, attempt, retryAt: Date.now() + ms };
      wake = new AbortController();
      await pause(ms, AbortSignal.any([life.signal, wake.signal]));
    }
  }

  function client(signal?: AbortSignal): Promise<EngineClient> {
    if (link) return Promise.resolve(link.client);
    return new Promise((resolve, reject) => {
      const ready = (opened: EngineLink): void => {
        signal?.removeEventListener("abort", aborted);
        resolve(opened.client);
      };
      const aborted = (): void => {
        waiting.delete(ready);
        reject(new DOMException("Given up while waiting for the engine.", "AbortError"));
      };
      if (signal?.aborted) return aborted();
      signal?.addEventListener("abort", aborted, { once: true });
      waiting.add(ready);
    });
  }

  async function run<T>(subscription: Subscription<T>, signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        const opened = await client(signal);
        for await (const value of await subscription.open(opened, signal)) {
          if (signal.aborted) return;
          failures = 0;
          subscription.next(value);
        }
        if (signal.aborted) return;
        if (subscription.ended && state.value.kind === "connected") return subscription.ended();
      } catch (error) {
        if (signal.aborted) return;
        // A broken connection is not the stream's failure: wait for the next one and open again.
        if (state.value.kind === "connected" && subscription.failed?.(error) === "stop") return;
      }
      await pause(pauseBefore(failures), signal);
      failures += 1;
    }
  }

  void keepConnected();

  return {
    state,
    client,
    subscribe(subscription) {
      const stop = new AbortController();
      void run(subscription, AbortSignal.any([stop.signal, life.signal]));
      return () => stop.abort();
    },
    retryNow: () => wake.abort(),
    dispose() {
      life.abort();
      link?.close();
    },
  };
}
