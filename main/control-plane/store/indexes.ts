/**
 * Indexes: which keys hold values that answer a topic in a given way. They are built in the background, a few
 * values at a time, and answer nothing until they are whole.
 */
import type { Entries } from "./entries.ts";
import { byKey } from "./entries.ts";
import { ByPrefix } from "./prefixes.ts";
import type { IndexDefinition, KeyValue, StoreEvent, Topic } from "./store.ts";

/** Values looked into before others get their turn. */
const SLICE = 100;

interface Index extends IndexDefinition {
  byAnswer: Map<string, Set<string>>;
}

/** The indexes of one collection: built together, as they look into the same values. */
interface Group {
  indexes: Index[];
  /** While they are built: the last key they know of. undefined once they are whole. */
  upTo: string | undefined;
}

export class Indexes {
  readonly #entries: Entries;
  readonly #groups = new ByPrefix<Group>();
  #closed = false;

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  /** Once for a prefix. Resolves when they are whole. */
  async add(prefix: string, definitions: readonly IndexDefinition[]): Promise<void> {
    if (this.#groups.get(prefix)) throw new Error(`${prefix} has its indexes already`);
    const group: Group = { indexes: definitions.map(({ name, of }) => ({ name, of, byAnswer: new Map() })), upTo: "" };
    this.#groups.set(prefix, group);
    while (this.#buildOn(prefix, group)) await new Promise((resolve) => setImmediate(resolve));
  }

  /** The values under a prefix whose answer is the topic's, in order; undefined where no index tells. */
  find(prefix: string, topic: Topic, startAfter: string | undefined): KeyValue[] | undefined {
    const { name, value } = topic.index ?? topic;
    for (const { indexes, upTo } of this.#groups.concerning(prefix)) {
      const index = upTo === undefined ? indexes.find((one) => one.name === name) : undefined;
      if (!index) continue;
      const keys = [...(index.byAnswer.get(value) ?? [])].filter(
        (key) => key.startsWith(prefix) && (startAfter === undefined || key > startAfter),
      );
      return keys.toSorted(byKey).map((key) => this.#entries.get(key) as KeyValue);
    }
    return undefined;
  }

  update({ key, current, previous }: StoreEvent): void {
    for (const { indexes, upTo } of this.#groups.concerning(key)) {
      if (upTo !== undefined && key > upTo) continue;
      for (const index of indexes) {
        const was = answersOf(index, previous);
        const is = answersOf(index, current);
        for (const answer of was) if (!is.includes(answer)) drop(index, answer, key);
        for (const answer of is) if (!was.includes(answer)) put(index, answer, key);
      }
    }
  }

  close(): void {
    this.#closed = true;
  }

  /** One slice. What changes behind `upTo` meanwhile comes by `update`. False when there is nothing left to do. */
  #buildOn(prefix: string, group: Group): boolean {
    if (this.#closed) return false;
    const items = this.#entries.range(prefix, group.upTo, SLICE);
    for (const item of items) {
      for (const index of group.indexes) {
        for (const answer of answersOf(index, item)) put(index, answer, item.key);
      }
    }
    group.upTo = items.length < SLICE ? undefined : items.at(-1)?.key;
    return group.upTo !== undefined;
  }
}

function answersOf({ of }: Index, item: KeyValue | undefined): readonly string[] {
  const answer = item && of(item);
  if (answer === undefined) return [];
  return typeof answer === "string" ? [answer] : answer;
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
