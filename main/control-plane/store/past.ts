/** A collection as it was: what is there now, with what has changed since put back. */
import { byKey } from "./entries.ts";
import type { KeyValue } from "./store.ts";

/** Two ordered lists into one: what has not changed of `now`, and what was there `then`. */
export function asTheyWere(
  now: readonly KeyValue[],
  then: ReadonlyMap<string, KeyValue | undefined>,
  startAfter: string | undefined,
): KeyValue[] {
  const changed = [...then.values()]
    .filter((item) => item !== undefined && (startAfter === undefined || item.key > startAfter))
    .toSorted((a, b) => byKey((a as KeyValue).key, (b as KeyValue).key)) as KeyValue[];
  const items: KeyValue[] = [];
  let at = 0;
  for (const item of now) {
    for (; at < changed.length && (changed[at] as KeyValue).key < item.key; at += 1)
      items.push(changed[at] as KeyValue);
    if (!then.has(item.key)) items.push(item);
  }
  for (; at < changed.length; at += 1) items.push(changed[at] as KeyValue);
  return items;
}
