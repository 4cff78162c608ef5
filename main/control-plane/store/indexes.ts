/**
 * Indexes: which keys hold values that answer a topic in a given way. They are built in the background, a few
 * values at a time, and answer nothing until they are whole.
 */
import type { Entries } from "./entries.ts";
import { byKey } from "./entries.ts";
import { ByPrefix } from "./prefixes.ts";
import type { KeyValue, StoreEvent, Topic } from "./store.ts";

/** Values looked into before others get their turn. */
const SLICE = 100;

interface Index {
  prefix: string;
  name: string;
  of: Topic["of"];
  byAnswer: Map<string, Set<string>>;
  /** While it is built: the last key it knows of. undefined once it is whole. */
  upTo: string | undefined;
}

export class Indexes {
  readonly #entries: Entries;
  readonly #indexes = new ByPrefix<Index[]>();
  #closed = false;

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  /** Once for a prefix and name. Resolves when it is whole. */
  async add(prefix: string, name: string, of: Topic["of"]): Promise<void> {
    const others = this.#indexes.get(prefix) ?? [];
    if (others.some((index) => index.name === name)) return;
    const index: Index = { prefix, name, of, byAnswer: new Map(), upTo: "" };
    this.#indexes.set(prefix, [...others, index]);
    while (this.#buildOn(index)) await new Promise((resolve) => setImmediate(resolve));
  }

  /** The values under a prefix whose answer is the topic's, in order; undefined where no index tells. */
  find(prefix: string, { name, value }: Topic, startAfter: string | undefined): KeyValue[] | undefined {
    for (const indexes of this.#indexes.concerning(prefix)) {
      const index = indexes.find((one) => one.name === name);
      if (!index || index.upTo !== undefined) continue;
      const keys = [...(index.byAnswer.get(value) ?? [])].filter(
        (key) => key.startsWith(prefix) && (startAfter === undefined || key > startAfter),
      );
      return keys.toSorted(byKey).map((key) => this.#entries.get(key) as KeyValue);
    }
    return undefined;
  }

  update({ key, current, previous }: StoreEvent): void {
    for (const indexes of this.#indexes.concerning(key)) {
      for (const index of indexes) {
        if (index.upTo !== undefined && key > index.upTo) continue;
        const was = previous && index.of(previous);
        const is = current && index.of(current);
        if (was === is) continue;
        if (was !== undefined) drop(index, was, key);
        if (is !== undefined) put(index, is, key);
      }
    }
  }

  close(): void {
    this.#closed = true;
  }

  /** One slice. What changes behind `upTo` meanwhile comes by `update`. False when there is nothing left to do. */
  #buildOn(index: Index): boolean {
    if (this.#closed) return false;
    const items = this.#entries.range(index.prefix, index.upTo, SLICE);
    for (const item of items) {
      const answer = index.of(item);
      if (answer !== undefined) put(index, answer, item.key);
    }
    index.upTo = items.length < SLICE ? undefined : items.at(-1)?.key;
    return index.upTo !== undefined;
  }
}

function put({ byAnswer }: Index, answer: string, key: string): void {
  const keys = byAnswer.get(answer);
  if (keys) keys.add(key);
  else byAnswer.set(answer, new Set([key]));
}

function drop({ byAnswer }: Index, answer: string, key: string): void {
  const keys = byAnswer.get(answer);
  keys?.delete(key);
  if (keys?.size === 0) byAnswer.delete(answer);
}
