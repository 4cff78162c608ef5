/** The node image as the engine tells of it, and building it as an operation. */
import type { SystemInfo } from "../../../common/contract/system.ts";
import { toFailure } from "../../clusters/failure.ts";
import type { ClusterManager } from "../../clusters/manager.ts";
import type { OperationRun } from "../../clusters/operation.ts";
import { imagesFolder } from "../../machines/paths.ts";

type ImageInfo = SystemInfo["image"];

const BUILD_MILLIS = 40 * 60_000;
/** Looking at the image reads its files: not at each question of a window. */
const FRESH_MILLIS = 30_000;

export class NodeImageState {
  private readonly folder: string;
  private readonly manager: ClusterManager;
  private known: { info: Promise<ImageInfo>; at: number } | undefined;

  constructor(home: string, manager: ClusterManager) {
    this.folder = imagesFolder(home);
    this.manager = manager;
  }

  async info(): Promise<ImageInfo> {
    if (!this.known || Date.now() - this.known.at > FRESH_MILLIS)
      this.known = { info: look(this.folder), at: Date.now() };
    const info = await this.known.info;
    if (info.state === "present" || !this.building()) return info;
    // It may be there any moment now.
    this.known = undefined;
    return { state: "building" };
  }

  build(rebuild: boolean): OperationRun {
    const steps = [
      { id: "image", kind: "image-build", title: "Build the node image", group: "Image", deadlineMillis: BUILD_MILLIS },
    ];
    return this.manager.operations.begin("image", undefined, steps, (run) =>
      run.step("image", async (context) => {
        const { ensureImage } = await import("../../machines/image/image.ts");
        const image = await ensureImage(this.folder, context, { signal: context.signal, rebuild });
        this.known = undefined;
        context.log(`node image ${image.version} in ${image.disk}`);
      }),
    );
  }

  private building(): boolean {
    const running = this.manager.operations.list().filter((operation) => operation.state === "running");
    return running.some((operation) => operation.steps.some((step) => step.id === "image" && step.state === "running"));
  }
}

async function look(folder: string): Promise<ImageInfo> {
  try {
    const { findImage } = await import("../../machines/image/image.ts");
    const found = await findImage(folder);
    return found ? { state: "present", version: found.version, bytes: found.bytes } : { state: "missing" };
  } catch (error) {
    return { state: "broken", failure: toFailure(error) };
  }
}
