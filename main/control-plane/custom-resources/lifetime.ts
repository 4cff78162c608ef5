/** How long a custom resource is served as it is: watches of it end when its definition changes or goes. */
export class Lifetime {
  readonly #listeners = new Set<() => void>();
  #over = false;

  /** Called once; at once where the end has come. Returns how to listen no longer. */
  onEnd(listener: () => void): () => void {
    if (this.#over) {
      listener();
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  end(): void {
    this.#over = true;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
