import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { cpio } from "./cpio.ts";

describe("cpio", () => {
  const archive = cpio([
    { path: "bin", mode: 0o040755 },
    { path: "bin/hello", mode: 0o100755, data: Buffer.from("odd") },
    { path: "hi", mode: 0o120777, data: Buffer.from("bin/hello") },
  ]);

  it("is aligned, and ends with the trailer", () => {
    expect(archive.length % 4).toBe(0);
    expect(archive.subarray(0, 6).toString()).toBe("070701");
    expect(archive.toString("latin1")).toContain("TRAILER!!!");
  });

  it("is read by another program", (context) => {
    let listing: string;
    try {
      listing = execFileSync("busybox", ["cpio", "-t"], {
        input: archive,
        encoding: "utf8",
        stdio: ["pipe", "pipe", "ignore"],
      });
    } catch {
      return context.skip("there is no busybox here to read it with");
    }
    expect(listing.trim().split("\n")).toEqual(["bin", "bin/hello", "hi"]);
  });
});
