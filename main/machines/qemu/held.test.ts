import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HeldWatch } from "./held.ts";
import type { Qmp, QmpEvent } from "./qmp.ts";

let say: (event: QmpEvent) => void;
let asked: string[];
let told: (string | undefined)[];
let watch: HeldWatch;
let status = "running";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  asked = [];
  told = [];
  const qmp = {
    onEvent: (listener: (event: QmpEvent) => void) => {
      say = listener;
      return () => undefined;
    },
    execute: (command: string) => {
      asked.push(command);
      return Promise.resolve({ status });
    },
  } as unknown as Qmp;
  watch = new HeldWatch(
    qmp,
    tmpdir(),
    (why) => told.push(why),
    () => undefined,
  );
});
afterEach(() => {
  watch.close();
  vi.useRealTimers();
});

const full: QmpEvent = { event: "BLOCK_IO_ERROR", data: { action: "stop", nospace: true, reason: "No space left" } };

describe("a machine whose disk cannot be written", () => {
  it("is said to wait, is told to go on once there is room, and is said to have gone on", async () => {
    say(full);
    say(full);
    expect(told).toEqual(["the disk of this computer is full"]);
    vi.advanceTimersByTime(5_000);
    await vi.waitFor(() => expect(asked).toEqual(["cont"]));
    say({ event: "RESUME" });
    expect(told).toEqual(["the disk of this computer is full", undefined]);
    vi.advanceTimersByTime(60_000);
    expect(asked).toEqual(["cont"]);
  });

  it("is left alone when the guest itself was told of the error", () => {
    say({ event: "BLOCK_IO_ERROR", data: { action: "report", nospace: false } });
    say({ event: "RESUME" });
    expect(told).toEqual([]);
  });

  it("is found by an engine that takes it over", async () => {
    status = "io-error";
    await watch.look();
    expect(told).toEqual(["its disk could not be written"]);
  });
});
