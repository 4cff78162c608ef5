import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RotatingLog } from "./log.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "drydock-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("RotatingLog", () => {
  it("starts anew when it has grown, keeps two predecessors, and its tail reaches back into one", () => {
    const log = new RotatingLog(path.join(folder, "engine.log"), 100);
    for (let index = 0; index < 40; index++) log.line(`line number ${index}`);
    expect(readdirSync(folder).toSorted()).toEqual(["engine.log", "engine.log.1", "engine.log.2"]);
    expect(log.tail(8)).toEqual(Array.from({ length: 8 }, (_, index) => `line number ${32 + index}`));
    expect(log.tail(0)).toEqual([]);
    log.close();
    log.line("after the end");
  });

  it("tells its lines as they come, with level and cause", () => {
    const log = new RotatingLog(path.join(folder, "engine.log"));
    const lines: string[] = [];
    const stop = log.onLine((line) => lines.push(line));
    log.error("it broke", new Error("because"));
    stop();
    log.info("unheard");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/error it broke: Error: because/);
    log.close();
  });
});
