/**
 * Figures in Prometheus' text form (exposition format 0.0.4): counters, gauges and histograms with labels. A series is
 * fetched once by its labels and then counted without looking at them again.
 */

import { atOnce } from "./steps.ts";
import type { Steps } from "./steps.ts";

export type Labels = Readonly<Record<string, string>>;

type Kind = "counter" | "gauge" | "histogram";

const escaped = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');

/** `verb="GET",code="200"` */
const written = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(",");

const braced = (labels: string): string => (labels === "" ? "" : `{${labels}}`);

/** One number that rises, or is set. */
export class Series {
  value = 0;

  add(by = 1): void {
    this.value += by;
  }

  lines(name: string, labels: string): string[] {
    return [`${name}${braced(labels)} ${this.value}`];
  }
}

/** How often values fell under each bound. */
export class Distribution {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
    this.#count += 1;
  }

  lines(name: string, labels: string): string[] {
    let total = 0;
    const before = labels === "" ? "" : `${labels},`;
    const buckets = this.#bounds.map((bound, at) => {
      total += this.#counts[at] ?? 0;
      return `${name}_bucket{${before}le="${bound}"} ${total}`;
    });
    return [
      ...buckets,
      `${name}_bucket{${before}le="+Inf"} ${this.#count}`,
      `${name}_sum${braced(labels)} ${this.#sum}`,
      `${name}_count${braced(labels)} ${this.#count}`,
    ];
  }
}

/** A name with its series. */
export class Family<T extends Series | Distribution> {
  readonly name: string;
  readonly #help: string;
  readonly #kind: Kind;
  readonly #make: () => T;
  readonly #series = new Map<string, T>();

  constructor(name: string, help: string, kind: Kind, make: () => T) {
    this.name = name;
    this.#help = help;
    this.#kind = kind;
    this.#make = make;
  }

  with(labels: Labels = {}): T {
    const key = written(labels);
    let series = this.#series.get(key);
    if (!series) this.#series.set(key, (series = this.#make()));
    return series;
  }

  /** Forgets all series: for gauges that are set anew each time they are asked for. */
  clear(): void {
    this.#series.clear();
  }

  /** Its text, a series at a time: of some there are thousands. */
  *text(): Steps<string> {
    let text = `# HELP ${this.name} ${this.#help}\n# TYPE ${this.name} ${this.#kind}\n`;
    // Meanwhile others may be added, or all be forgotten: that is for the next time.
    const known = [...this.#series];
    for (const [labels, series] of known) {
      text += `${series.lines(this.name, labels).join("\n")}\n`;
      yield;
    }
    return text;
  }
}

export class MetricsRegistry {
  readonly #families: Family<Series | Distribution>[] = [];
  readonly #collectors: (() => void | Promise<void>)[] = [];

  counter(name: string, help: string): Family<Series> {
    return this.#keep(new Family(name, help, "counter", () => new Series()));
  }

  gauge(name: string, help: string): Family<Series> {
    return this.#keep(new Family(name, help, "gauge", () => new Series()));
  }

  /** `bounds` in rising order, in the unit that the name says. */
  histogram(name: string, help: string, bounds: readonly number[]): Family<Distribution> {
    return this.#keep(new Family(name, help, "histogram", () => new Distribution(bounds)));
  }

  /** Called before figures are read, to set what is only known by looking. */
  onCollect(collect: () => void | Promise<void>): void {
    this.#collectors.push(collect);
  }

  /** `take`: who takes the steps, so that others may be let in between. Throws what a collector throws. */
  async text(take: (steps: Steps<string>) => string | Promise<string> = atOnce): Promise<string> {
    await Promise.all(this.#collectors.map((collect) => collect()));
    return take(this.#text());
  }

  *#text(): Steps<string> {
    const texts: string[] = [];
    for (const family of this.#families) texts.push(yield* family.text());
    return texts.join("");
  }

  #keep<T extends Series | Distribution>(family: Family<T>): Family<T> {
    this.#families.push(family as unknown as Family<Series | Distribution>);
    return family;
  }
}

/** From `first`, `count` bounds, each `factor` times the one before. */
export const exponential = (first: number, factor: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => Number((first * factor ** at).toPrecision(12)));
