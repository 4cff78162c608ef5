import { expect, it } from "vitest";
import type { RuntimeImage } from "../runtime/runtime.ts";
import { RuntimeState } from "./runtime-state.ts";

it("bears a runtime that is started again, and tells of one that stays away", async () => {
  let now = 0;
  let isThere = true;
  const images = [{ id: "sha256:1", names: ["a:1"], digests: [], bytes: 1 }] as RuntimeImage[];
  const ask = (): Promise<RuntimeImage[]> => (isThere ? Promise.resolve(images) : Promise.reject(new Error("away")));
  const state = new RuntimeState({ images: ask }, () => now);
  expect(await state.look()).toEqual({ images, isDown: false });
  isThere = false;
  now = 25_000;
  expect(await state.look()).toEqual({ images, isDown: false });
  now = 31_000;
  expect(await state.look()).toEqual({ images, isDown: true });
  isThere = true;
  expect(await state.look()).toEqual({ images, isDown: false });
});
