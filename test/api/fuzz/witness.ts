/**
 * Watches every built-in kind and remembers which marks were ever stored. Each write carries a mark of its own, so
 * that one that was refused, or was only a dry run, and yet came into the store gives itself away.
 */
import { collectionPath } from "./asks.ts";
import type { Kind } from "./asks.ts";
import { Wire } from "./wire.ts";
import type { Endpoint } from "./wire.ts";

const MARK = /mark-\d+-[0-9a-f]+-/g;
const LONGEST = 40;

export class Witness {
  readonly stored = new Set<string>();
  readonly #wires: Wire[] = [];
  readonly #readers: Promise<void>[] = [];
  #over = false;

  /** How many watches it holds. */
  get size(): number {
    return this.#wires.length;
  }

  watch(endpoint: Endpoint, kinds: readonly Kind[]): void {
    for (const kind of kinds) {
      if (!kind.verbs.includes("watch")) continue;
      const wire = new Wire(endpoint);
      this.#wires.push(wire);
      this.#readers.push(this.#read(wire, `${collectionPath(kind, undefined)}?watch=true`));
    }
  }

  async #read(wire: Wire, target: string): Promise<void> {
    await wire.send(Buffer.from(`GET ${target} HTTP/1.1\r\nhost: kubernetes\r\n\r\n`));
    let tail = "";
    while (!this.#over) {
      const text = tail + (await wire.take(1000)).toString("latin1");
      for (const [mark] of text.matchAll(MARK)) this.stored.add(mark);
      tail = text.slice(-LONGEST);
      if (wire.closed && !this.#over) throw new Error(`the watch of ${target} was cut off`);
    }
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#readers);
    for (const wire of this.#wires) wire.close();
  }
}
