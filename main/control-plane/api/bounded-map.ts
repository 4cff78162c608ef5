/**
 * A map of so many entries at most, of which the oldest give way. The keys stand in a ring: to look for the oldest
 * in the map itself would be to pass by all that were deleted before it.
 */
export class BoundedMap<K, V> {
  readonly #values = new Map<K, V>();
  readonly #ring: (K | undefined)[];
  #next = 0;

  constructor(most: number) {
    this.#ring = Array.from({ length: most });
  }

  get(key: K): V | undefined {
    return this.#values.get(key);
  }

  /** A key that is there keeps its place. */
  set(key: K, value: V): void {
    const { size } = this.#values;
    this.#values.set(key, value);
    if (this.#values.size === size) return;
    const oldest = this.#ring[this.#next];
    if (oldest !== undefined) this.#values.delete(oldest);
    this.#ring[this.#next] = key;
    this.#next = (this.#next + 1) % this.#ring.length;
  }
}
