/** How far a pull or a push has come, from what Docker tells of each layer. Pure but for what it has heard. */
import type { DockerProgress } from "../../clusters/node-docker.ts";

/** Bringing a layer takes most of the time, unpacking it the rest. */
const DOWNLOAD_SHARE = 0.7;
const DONE: ReadonlySet<string> = new Set(["Pull complete", "Already exists", "Pushed", "Layer already exists"]);

export class LayerProgress {
  private readonly layers = new Map<string, number>();
  private readonly bytes = new Map<string, { current: number; total: number }>();

  heard({ status = "", id, progressDetail }: DockerProgress): void {
    if (!id) return;
    const { current = 0, total = 0 } = progressDetail ?? {};
    const share = total > 0 ? Math.min(1, current / total) : 0;
    if (status === "Pulling fs layer" || status === "Waiting" || status === "Preparing") this.layers.set(id, 0);
    else if (status === "Downloading") {
      this.layers.set(id, DOWNLOAD_SHARE * share);
      this.bytes.set(id, { current, total });
    } else if (status === "Verifying Checksum" || status === "Download complete") this.layers.set(id, DOWNLOAD_SHARE);
    else if (status === "Extracting") this.layers.set(id, DOWNLOAD_SHARE + (1 - DOWNLOAD_SHARE) * share);
    else if (status === "Pushing") {
      this.layers.set(id, share);
      this.bytes.set(id, { current, total });
    } else if (DONE.has(status)) this.layers.set(id, 1);
  }

  /** 0…1; undefined before anything is known. */
  get fraction(): number | undefined {
    if (this.layers.size === 0) return undefined;
    return [...this.layers.values()].reduce((sum, done) => sum + done, 0) / this.layers.size;
  }

  get text(): string {
    const done = [...this.layers.values()].filter((share) => share === 1).length;
    const total = [...this.bytes.values()].reduce((sum, layer) => sum + layer.total, 0);
    const size = total > 0 ? `, ${(total / 1024 / 1024).toFixed(1)} MiB` : "";
    return `${done} of ${this.layers.size} layers${size}`;
  }
}
