/**
 * Why something is written: the state of an object that made a controller or the scheduler act. It travels with
 * the work, through every await, to the write, so that nobody has to hand it on.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { KubeObject } from "../../../common/kube/object.ts";

export interface Cause {
  uid: string;
  /** The state that was seen; "" where only the object is known. */
  resourceVersion: string;
  /** Who acts upon it: "deployment-controller". */
  actor?: string;
}

const current = new AsyncLocalStorage<Cause>();

/** The cause of what is being done now. */
export function currentCause(): Cause | undefined {
  return current.getStore();
}

export function becauseOf<T>({ metadata }: Pick<KubeObject, "metadata">, run: () => T): T {
  return current.run({ uid: metadata.uid ?? "", resourceVersion: metadata.resourceVersion ?? "" }, run);
}

export function withCause<T>(cause: Cause, run: () => T): T {
  return current.run(cause, run);
}
