/** Joins two connections so that nothing which one side has sent is lost when the other ends. */
import type { Duplex } from "node:stream";

/** How long a side may take to close once the other is gone and all was written to it. */
const LINGER_MILLIS = 30_000;

/** Both ways, each until its own end; when one side is gone the other is closed after it was sent the rest. */
export function join(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on("error", () => from.destroy());
    from.once("close", () => letGo(to));
  }
}

/** What was written is still sent, what comes in is dropped: a socket closed with something unread resets, and loses both. */
export function letGo(side: Duplex): void {
  if (side.destroyed) return;
  side.end();
  linger(side);
}

/** Whoever writes to this side ends it; until it closes what comes in is dropped, and not for ever. */
export function linger(side: Duplex): void {
  if (side.destroyed) return;
  side.resume();
  const timer = setTimeout(() => side.destroy(), LINGER_MILLIS);
  side.once("close", () => clearTimeout(timer));
}
