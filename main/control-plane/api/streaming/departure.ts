/** A client may leave while its request is still being prepared, before anything listens for that. */
import type { Stream } from "node:stream";

/** Aborted when the client's connection, or its answer, has closed: at once where it already has. */
export function departure(client: Stream & { destroyed: boolean }): AbortSignal {
  const left = new AbortController();
  if (client.destroyed) left.abort();
  else client.once("close", () => left.abort());
  return left.signal;
}

/** Runs `act` when `signal` is aborted: at once where it already is. */
export function onDeparture(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { once: true });
}
