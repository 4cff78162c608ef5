import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { MachineError } from "../machines/failure.ts";
import { CATALOGUE, DrydockError, fail, isAbort, toFailure } from "./failure.ts";
import { failuresPage } from "./failure-docs.ts";

const root = path.resolve(import.meta.dirname, "../..");

describe("failures", () => {
  it("have a page that is up to date (node main/clusters/failure-docs.ts)", () => {
    expect(readFileSync(path.join(root, "docs/failures.md"), "utf8")).toBe(failuresPage());
  });

  it("of the machine drivers are all in the catalogue", () => {
    const folder = path.join(root, "main/machines");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
      /(?<!\.test)\.ts$/.test(name),
    );
    const codes = files.flatMap((name) =>
      [...readFileSync(path.join(folder, name), "utf8").matchAll(/code: "([A-Z_]+)"/g)].map(
        (match) => match[1] as string,
      ),
    );
    expect(codes.filter((code) => !(code in CATALOGUE))).toEqual([]);
  });

  it("keep a driver's code, facts and advice, and the catalogue's action", () => {
    const error = new MachineError({
      code: "IMAGE_BROKEN",
      message: "it is cut off",
      advice: "build it",
      lastLines: ["x"],
    });
    expect(toFailure(error)).toEqual({
      code: "IMAGE_BROKEN",
      message: "it is cut off",
      advice: "build it",
      lastLines: ["x"],
      action: CATALOGUE.IMAGE_BROKEN.action,
    });
  });

  it("tell an end that was asked for from an accident", () => {
    expect(isAbort(fail("CANCELLED", "c"))).toBe(true);
    expect(toFailure(AbortSignal.abort().reason).code).toBe("CANCELLED");
    expect(isAbort(fail("PORT_TAKEN", "p"))).toBe(false);
  });

  it("are INTERNAL, with where it happened, for what nobody expected; a system error's code is no code of ours", () => {
    expect(toFailure(Object.assign(new Error("no file"), { code: "ENOENT" }))).toMatchObject({
      code: "INTERNAL",
      message: "no file",
    });
    expect(toFailure("text").message).toBe("text");
    expect(new DrydockError(fail("INTERNAL", "x").failure).message).toBe("x");
  });
});
