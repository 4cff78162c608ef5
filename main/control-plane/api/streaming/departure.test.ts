import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { departure, onDeparture } from "./departure.ts";

test("who has left before anybody listened is noticed at once", () => {
  const client = new PassThrough();
  client.destroy();
  let told = 0;
  onDeparture(departure(client), () => (told += 1));
  expect(told).toBe(1);
});

test("who leaves later is noticed then, and once", async () => {
  const client = new PassThrough();
  let told = 0;
  const left = departure(client);
  onDeparture(left, () => (told += 1));
  expect([told, left.aborted]).toEqual([0, false]);
  client.destroy();
  await new Promise((resolve) => client.once("close", resolve));
  expect([told, left.aborted]).toEqual([1, true]);
});
