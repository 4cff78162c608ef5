/** What is kept by the prefix of keys it concerns, found for a key without looking at the others. */

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

  /**
   * What is kept by any prefix of the key; "pods/default/web" has "", "pods/", "pods/default/" and itself as its
   * prefixes here. A list, since every event asks: a generator costs several times as much.
   */
  concerning(key: string): T[] {
    const found: T[] = [];
    if (this.#kept.size === 0) return found;
    this.#add(found, "");
    for (let at = key.indexOf("/"); at >= 0 && at < key.length - 1; at = key.indexOf("/", at + 1))
      this.#add(found, key.slice(0, at + 1));
    if (key !== "") this.#add(found, key);
    for (const prefix of this.#odd) if (key.startsWith(prefix)) found.push(this.#kept.get(prefix) as T);
    return found;
  }

  #add(found: T[], prefix: string): void {
    const what = this.#kept.get(prefix);
    if (what !== undefined && !this.#odd.has(prefix)) found.push(what);
  }
}
