/** About how many objects each collection has: what a list of it will cost. Never waited for, so maybe a while old. */
const FRESH_MILLIS = 10_000;

export class CollectionSizes {
  readonly #count: (resource: string) => Promise<number>;
  readonly #known = new Map<string, { objects: number; at: number }>();

  /** `count`: how many there are of "pods", "deployments.apps". */
  constructor(count: (resource: string) => Promise<number>) {
    this.#count = count;
  }

  of(resource: string, now = performance.now()): number {
    const known = this.#known.get(resource);
    if (!known || now - known.at > FRESH_MILLIS) {
      const counting = known ?? { objects: 0, at: now };
      counting.at = now;
      this.#known.set(resource, counting);
      // A count that fails leaves the last one standing.
      void this.#count(resource).then(
        (objects) => (counting.objects = objects),
        () => undefined,
      );
    }
    return known?.objects ?? 0;
  }
}
