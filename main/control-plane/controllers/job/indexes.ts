/**
 * Sets of completion indexes in the form the API shows: "0-3,5". They are kept as the runs they are written in: a Job
 * may have thousands of millions of indexes, and a status may have been made up.
 */

/** From the first to the last, both included. */
type Run = [first: number, last: number];

export class Indexes {
  /** Ascending; no two touch. */
  readonly #runs: Run[];

  private constructor(runs: Run[]) {
    this.#runs = runs;
  }

  /** Of a status or a rule; what is no index, and what is not below the limit, is left out. */
  static parse(text: string | undefined, below = Number.MAX_SAFE_INTEGER): Indexes {
    const runs = (text ?? "").split(",").flatMap((part): Run[] => {
      const [, first = "", last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
      const run: Run = [Number(first), Math.min(Number(last), below - 1)];
      return first !== "" && run[0] <= run[1] ? [run] : [];
    });
    return new Indexes(merge(runs));
  }

  /** How many there are. */
  get size(): number {
    return this.#runs.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  has(index: number): boolean {
    const run = this.#runs[this.#after(index) - 1];
    return run !== undefined && index <= run[1];
  }

  add(index: number): void {
    if (this.has(index)) return;
    const at = this.#after(index);
    const [before, next] = [this.#runs[at - 1], this.#runs[at]];
    if (before?.[1] === index - 1) before[1] = index;
    else if (next?.[0] === index + 1) next[0] = index;
    else this.#runs.splice(at, 0, [index, index]);
    if (before && next && before[1] + 1 === next[0]) this.#runs.splice(at - 1, 2, [before[0], next[1]]);
  }

  with(other: Indexes): Indexes {
    return new Indexes(merge([...this.#runs, ...other.#runs]));
  }

  /** How many are in both. */
  common(other: Indexes): number {
    let [sum, mine, its] = [0, 0, 0];
    for (let a = this.#runs[0], b = other.#runs[0]; a && b; a = this.#runs[mine], b = other.#runs[its]) {
      sum += Math.max(0, Math.min(a[1], b[1]) - Math.max(a[0], b[0]) + 1);
      if (a[1] < b[1]) mine += 1;
      else its += 1;
    }
    return sum;
  }

  /** Those below the limit that are not in it, ascending, each made when it is asked for. */
  *missing(below: number): Generator<number> {
    let index = 0;
    for (const [first, last] of [...this.#runs, [below, below] as Run]) {
      for (; index < first && index < below; index += 1) yield index;
      index = last + 1;
    }
  }

  /** Runs of three and more are written with a hyphen, as Kubernetes does. */
  toString(): string {
    return this.#runs
      .map(([first, last]) => (first === last ? `${first}` : `${first}${last - first > 1 ? "-" : ","}${last}`))
      .join(",");
  }

  /** Where the first run is that begins after the index. */
  #after(index: number): number {
    let [low, high] = [0, this.#runs.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#runs[middle] as Run)[0] <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function merge(runs: readonly Run[]): Run[] {
  const merged: Run[] = [];
  for (const [first, last] of runs.toSorted(([a], [b]) => a - b)) {
    const before = merged.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}
