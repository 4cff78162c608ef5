/**
 * Milliseconds for deadlines and pauses. Like Date.now(), but it never jumps: a node's clock is set when its machine wakes, and by
 * whoever works on the node, and neither must hold up or hasten what the kubelet waits for.
 */
export function monotonicNow(): number {
  return Math.floor(performance.timeOrigin + performance.now());
}
