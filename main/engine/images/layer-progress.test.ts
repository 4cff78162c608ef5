import { expect, it } from "vitest";
import { LayerProgress } from "./layer-progress.ts";

it("grows from what is told of each layer", () => {
  const progress = new LayerProgress();
  expect(progress.fraction).toBeUndefined();
  progress.heard({ status: "Pulling from library/nginx", id: "latest" });
  expect(progress.fraction).toBeUndefined();
  progress.heard({ status: "Pulling fs layer", id: "a" });
  progress.heard({ status: "Already exists", id: "b" });
  expect(progress.fraction).toBe(0.5);
  progress.heard({ status: "Downloading", id: "a", progressDetail: { current: 1024 ** 2, total: 2 * 1024 ** 2 } });
  expect(progress.fraction).toBeCloseTo((0.35 + 1) / 2);
  expect(progress.text).toBe("1 of 2 layers, 2.0 MiB");
  progress.heard({ status: "Extracting", id: "a", progressDetail: { current: 1, total: 1 } });
  progress.heard({ status: "Pull complete", id: "a" });
  expect(progress.fraction).toBe(1);
});

it("grows from what is told of layers that are pushed", () => {
  const progress = new LayerProgress();
  progress.heard({ status: "Preparing", id: "a" });
  progress.heard({ status: "Layer already exists", id: "b" });
  progress.heard({ status: "Pushing", id: "a", progressDetail: { current: 1, total: 4 } });
  expect(progress.fraction).toBeCloseTo(0.625);
  progress.heard({ status: "Pushed", id: "a" });
  expect(progress.fraction).toBe(1);
});
