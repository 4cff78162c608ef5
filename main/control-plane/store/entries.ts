/**
 * The current values in the order of their keys, in blocks: insertion and deletion move a few hundred of them
 * at most, a range under a prefix is read without touching the rest, and counting it touches the blocks alone.
 * One value is found by halving too: a hash table of very many keys would have to be made anew as a whole, in
 * one turn of the event loop, whenever it has grown to twice its size.
 */
import type { KeyValue } from "./store.ts";

const BLOCK = 512;

/** Order of keys: by code unit, which for Kubernetes' ASCII keys is byte order. */
export function byKey(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export class Entries {
  #blocks: KeyValue[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): KeyValue | undefined {
    const [index, at] = this.#placeOf(key);
    const found = this.#blocks[index]?.[at];
    return found?.key === key ? found : undefined;
  }

  /** Replaces everything. The items must come in the order of their keys. */
  load(sorted: readonly KeyValue[]): void {
    this.#blocks = [];
    this.#size = sorted.length;
    for (let at = 0; at < sorted.length; at += BLOCK) this.#blocks.push(sorted.slice(at, at + BLOCK));
  }

  set(item: KeyValue): void {
    if (this.#blocks.length === 0) this.#blocks.push([]);
    const [index, at] = this.#placeOf(item.key);
    const block = this.#blocks[index] as KeyValue[];
    if (block[at]?.key === item.key) {
      block[at] = item;
      return;
    }
    this.#size += 1;
    block.splice(at, 0, item);
    if (block.length > BLOCK * 2) this.#blocks.splice(index, 1, block.slice(0, BLOCK), block.slice(BLOCK));
  }

  delete(key: string): void {
    const [index, at] = this.#placeOf(key);
    const block = this.#blocks[index];
    if (block?.[at]?.key !== key) return;
    this.#size -= 1;
    block.splice(at, 1);
    if (block.length === 0) this.#blocks.splice(index, 1);
  }

  /** Items whose keys have the prefix, in order, those after `startAfter` only; `most` of them. */
  range(prefix: string, startAfter?: string, most = Number.POSITIVE_INFINITY): KeyValue[] {
    // The least key that is greater than a string is that string with a zero behind it.
    const from = startAfter !== undefined && startAfter >= prefix ? `${startAfter}\0` : prefix;
    const [toBlock, toAt] = prefix === "" ? [this.#blocks.length, 0] : this.#placeOf(endOf(prefix));
    let [index, at] = this.#placeOf(from);
    const found: KeyValue[] = [];
    for (; index <= toBlock && index < this.#blocks.length; index += 1, at = 0) {
      const block = this.#blocks[index] as KeyValue[];
      const end = index === toBlock ? toAt : block.length;
      for (; at < end; at += 1) {
        if (found.length >= most) return found;
        found.push(block[at] as KeyValue);
      }
    }
    return found;
  }

  count(prefix: string): number {
    if (prefix === "") return this.size;
    const [fromBlock, fromAt] = this.#placeOf(prefix);
    const [toBlock, toAt] = this.#placeOf(endOf(prefix));
    let count = toAt - fromAt;
    for (let index = fromBlock; index < toBlock; index += 1) count += (this.#blocks[index] as KeyValue[]).length;
    return count;
  }

  /** Block and place of the first key that is not less. */
  #placeOf(key: string): [number, number] {
    if (this.#blocks.length === 0) return [0, 0];
    const index = this.#blockOf(key);
    return [index, lowerBound(this.#blocks[index] as KeyValue[], key)];
  }

  /** The block in which the key is, or would be. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (((this.#blocks[middle] as KeyValue[])[0] as KeyValue).key <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The least string that is greater than all with this prefix. */
export function endOf(prefix: string): string {
  const last = prefix.length - 1;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}

function lowerBound(block: readonly KeyValue[], key: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((block[middle] as KeyValue).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
