/** What is kept by the prefix of keys it concerns, found for a key without looking at the others. */

/** "pods/default/web" has "", "pods/", "pods/default/" and itself as its prefixes here. */
function* prefixesOf(key: string): Generator<string> {
  yield "";
  for (let at = key.indexOf("/"); at >= 0 && at < key.length - 1; at = key.indexOf("/", at + 1))
    yield key.slice(0, at + 1);
  if (key !== "") yield key;
}

export class ByPrefix<T> {
  readonly #kept = new Map<string, T>();
  /** Prefixes that end within a part of a key: each is held against every key. */
  readonly #odd = new Set<string>();

  get(prefix: string): T | undefined {
    return this.#kept.get(prefix);
  }

  set(prefix: string, what: T): void {
    this.#kept.set(prefix, what);
    if (prefix !== "" && !prefix.endsWith("/")) this.#odd.add(prefix);
  }

  delete(prefix: string): void {
    this.#kept.delete(prefix);
    this.#odd.delete(prefix);
  }

  values(): Iterable<T> {
    return this.#kept.values();
  }

  /** What is kept by any prefix of the key. */
  *concerning(key: string): Generator<T> {
    if (this.#kept.size === 0) return;
    for (const prefix of prefixesOf(key)) {
      const found = this.#kept.get(prefix);
      if (found !== undefined && !this.#odd.has(prefix)) yield found;
    }
    for (const prefix of this.#odd) if (key.startsWith(prefix)) yield this.#kept.get(prefix) as T;
  }
}
