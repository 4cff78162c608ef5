/** What the Node's status says of the container runtime: its images, and whether it is there. */
import { monotonicNow } from "../monotonic.ts";
import type { Runtime, RuntimeImage } from "../runtime/runtime.ts";

/** Kubelets bear a silence of this long (milliseconds): Docker that is started again is not the end of a node. */
const PATIENCE = 30_000;

export class RuntimeState {
  readonly #runtime: Pick<Runtime, "images">;
  readonly #now: () => number;
  #images: RuntimeImage[] = [];
  #answeredAt: number;

  constructor(runtime: Pick<Runtime, "images">, now: () => number = monotonicNow) {
    this.#runtime = runtime;
    this.#now = now;
    this.#answeredAt = now();
  }

  /** The images as last known, and whether the runtime has been silent for too long. */
  async look(): Promise<{ images: RuntimeImage[]; isDown: boolean }> {
    try {
      this.#images = await this.#runtime.images();
      this.#answeredAt = this.#now();
    } catch {
      // What became of it is told by how long it lasts.
    }
    return { images: this.#images, isDown: this.#now() - this.#answeredAt > PATIENCE };
  }
}
