/**
 * A sorted set of keys in blocks: insertion and deletion move a few hundred entries at most, and a
 * range under a prefix is read without touching the rest.
 */

const BLOCK = 512;

export class SortedKeys {
  private blocks: string[][] = [];
  private size = 0;

  /** Replaces everything. */
  load(keys: string[]): void {
    const sorted = keys.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    this.blocks = [];
    for (let at = 0; at < sorted.length; at += BLOCK) this.blocks.push(sorted.slice(at, at + BLOCK));
    this.size = sorted.length;
  }

  add(key: string): void {
    if (this.blocks.length === 0) this.blocks.push([]);
    const index = this.blockOf(key);
    const block = this.blocks[index] as string[];
    const at = lowerBound(block, key);
    if (block[at] === key) return;
    block.splice(at, 0, key);
    this.size += 1;
    if (block.length > BLOCK * 2) this.blocks.splice(index, 1, block.slice(0, BLOCK), block.slice(BLOCK));
  }

  delete(key: string): void {
    if (this.blocks.length === 0) return;
    const index = this.blockOf(key);
    const block = this.blocks[index] as string[];
    const at = lowerBound(block, key);
    if (block[at] !== key) return;
    block.splice(at, 1);
    this.size -= 1;
    if (block.length === 0) this.blocks.splice(index, 1);
  }

  /** Keys with the prefix, in order, those after `startAfter` only. */
  *range(prefix: string, startAfter?: string): Generator<string> {
    if (this.blocks.length === 0) return;
    const from = startAfter !== undefined && startAfter > prefix ? startAfter : prefix;
    for (let index = this.blockOf(from); index < this.blocks.length; index += 1) {
      const block = this.blocks[index] as string[];
      for (let at = index === this.blockOf(from) ? lowerBound(block, from) : 0; at < block.length; at += 1) {
        const key = block[at] as string;
        if (startAfter !== undefined && key <= startAfter) continue;
        if (!key.startsWith(prefix)) {
          if (key > prefix) return;
          continue;
        }
        yield key;
      }
    }
  }

  count(prefix: string): number {
    if (prefix === "") return this.size;
    let count = 0;
    for (const _ of this.range(prefix)) count += 1;
    return count;
  }

  /** The block in which the key is, or would be. */
  private blockOf(key: string): number {
    let low = 0;
    let high = this.blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (((this.blocks[middle] as string[])[0] as string) <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function lowerBound(block: string[], key: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((block[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
