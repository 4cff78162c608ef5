/** The node image as the engine tells of it, and building it as an operation. */
import { stat } from "node:fs/promises";
import type { SystemInfo } from "../../common/contract/system.ts";
import { toFailure } from "../clusters/failure.ts";
import type { ClusterManager } from "../clusters/manager.ts";
import type { OperationRun } from "../clusters/operation.ts";
import { imagesFolder } from "../machines/paths.ts";

const BUILD_MILLIS = 40 * 60_000;

export async function imageInfo(home: string, manager: ClusterManager): Promise<SystemInfo["image"]> {
  const building = manager
    .operationList()
    .some(
      (operation) =>
        operation.state === "running" &&
        operation.steps.some((step) => step.id === "image" && step.state === "running"),
    );
  try {
    const { findImage } = await import("../machines/image/image.ts");
    const found = await findImage(imagesFolder(home));
    if (found) return { state: "present", version: found.version, bytes: (await stat(found.disk)).size };
    return { state: building ? "building" : "missing" };
  } catch (error) {
    return building ? { state: "building" } : { state: "broken", failure: toFailure(error) };
  }
}

export function buildImage(manager: ClusterManager, home: string, rebuild: boolean): OperationRun {
  const steps = [
    { id: "image", kind: "image-build", title: "Build the node image", group: "Image", deadlineMillis: BUILD_MILLIS },
  ];
  return manager.operation("image", undefined, steps, (run) =>
    run.step("image", async (context) => {
      const { ensureImage } = await import("../machines/image/image.ts");
      const image = await ensureImage(imagesFolder(home), context, { signal: context.signal, rebuild });
      context.log(`node image ${image.version} in ${image.disk}`);
    }),
  );
}
