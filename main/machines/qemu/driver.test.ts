import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { QemuDriver } from "./driver.ts";

it("has ended its probe, and writes nothing any more, once it is closed", async () => {
  const home = await mkdtemp(path.join(tmpdir(), "drydock-driver-"));
  const driver = new QemuDriver({ home, runFolder: path.join(home, "run"), log: () => undefined });
  let ended = false;
  const probing = driver
    .probe()
    .catch(() => undefined)
    .finally(() => (ended = true));
  await driver.close();
  // Its promise has been settled; whoever waits for it hears so in this turn.
  await new Promise((resolve) => setImmediate(resolve));
  expect(ended).toBe(true);
  const left = await readdir(home, { recursive: true });
  expect(left.filter((name) => name.includes("accelerators") || name.includes("probe-"))).toEqual([]);
  await probing;
  await rm(home, { recursive: true });
});
