/**
 * Gives memory back to the node. Node.js collects when it must, not when it could: what starting and joining left behind
 * would stay with every node for ever, and in the template with all clones.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** A full collection, a good part of a second under emulation: for moments in which nobody waits. */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  // "last-resort" also drops code and caches that have not been used lately, and gives emptied pages back.
  const collect = runInNewContext("gc") as (options: { type: "major"; flavor: "last-resort" }) => void;
  collect({ type: "major", flavor: "last-resort" });
}
