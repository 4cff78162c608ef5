/**
 * What a controller has just written and not yet seen come back in its informers. Until it has, deciding
 * again for the same key would count wrong and do things twice.
 */
import type { Clock } from "../../../../common/kube/clock.ts";
import type { Informer } from "../../../../common/kube/informer.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";

/** A write that never comes back (the server lost it, the watch skipped it) must not block for ever. */
const FORGET_MILLIS = 300_000;

interface Expected {
  seen(): boolean;
  since: number;
}

export class Expectations {
  readonly #clock: Clock;
  readonly #expected = new Map<string, Expected[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `object` is what the server answered to a create or update. */
  written<T extends KubeObject>(key: string, informer: Informer<T>, object: KubeObject): void {
    const of = objectKey(object);
    const { uid, resourceVersion } = object.metadata;
    this.#expect(key, () => {
      const there = informer.get(of);
      if (there?.metadata.uid === uid && !isOlder(there?.metadata.resourceVersion, resourceVersion)) return true;
      // It came and went already.
      return !there && !isOlder(informer.resourceVersion, resourceVersion);
    });
  }

  /** `object` was asked to go: seen when it is gone, another, or on its way out. */
  deleted<T extends KubeObject>(key: string, informer: Informer<T>, object: KubeObject): void {
    const of = objectKey(object);
    this.#expect(key, () => {
      const there = informer.get(of);
      return there?.metadata.uid !== object.metadata.uid || there?.metadata.deletionTimestamp !== undefined;
    });
  }

  /** True when all that was written for the key has been seen. */
  met(key: string): boolean {
    const expected = this.#expected.get(key);
    if (!expected) return true;
    const now = this.#clock.monotonic();
    const open = expected.filter(({ seen, since }) => now - since < FORGET_MILLIS && !seen());
    if (open.length > 0) this.#expected.set(key, open);
    else this.#expected.delete(key);
    return open.length === 0;
  }

  forget(key: string): void {
    this.#expected.delete(key);
  }

  #expect(key: string, seen: () => boolean): void {
    if (seen()) return;
    const expected = this.#expected.get(key) ?? [];
    expected.push({ seen, since: this.#clock.monotonic() });
    this.#expected.set(key, expected);
  }
}

/** Resource versions compare as decimal numbers of any length (KEP-5504). */
export function isOlder(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return b !== undefined;
  return a.length === b.length ? a < b : a.length < b.length;
}
