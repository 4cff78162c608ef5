/** Long work in short slices: between them whatever else waits gets its turn. */

/** One slice. A request that waits behind a few of them waits less than a person notices. */
const SLICE_MILLIS = 8;
/** Looking at the clock costs something too. */
const BETWEEN_LOOKS = 16;

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Calls `each` for all, in order. `stop` is asked between slices; the rest is left out once it says so. */
export async function inSlices<T>(
  items: Iterable<T>,
  each: (item: T) => void,
  stop: () => boolean = () => false,
): Promise<void> {
  let began = performance.now();
  let count = 0;
  for (const item of items) {
    if ((count += 1) % BETWEEN_LOOKS === 0 && performance.now() - began > SLICE_MILLIS) {
      await turn();
      if (stop()) return;
      began = performance.now();
    }
    each(item);
  }
}
