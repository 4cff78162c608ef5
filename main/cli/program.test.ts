import { CommanderError } from "commander";
import { describe, expect, it } from "vitest";
import { exitCodeOf, failureText, FailedError, UsageError } from "./exit.ts";
import { age, table } from "./output.ts";
import { gibibytesOf, mebibytesOf, program } from "./program.ts";
import { stepLine } from "./progress.ts";

describe("the command line", () => {
  const root = program();
  const commands = [...root.commands, ...root.commands.flatMap((command) => command.commands)];

  it("has every subcommand, each with a description", () => {
    expect(root.commands.map((command) => command.name()).toSorted()).toEqual(
      [
        "control-plane",
        "delete",
        "down",
        "engine",
        "explain",
        "docker-env",
        "image",
        "kubeconfig",
        "list",
        "logs",
        "node",
        "shell",
        "status",
        "trust",
        "tunnel",
        "ui",
        "up",
      ].toSorted(),
    );
    expect(commands.every((command) => command.description() !== "")).toBe(true);
  });

  it.each(["2048", "2048M", "2048MiB", "2G", "2GiB"])("reads %s as 2048 MiB", (text) =>
    expect(mebibytesOf(text)).toBe(2048),
  );
  it.each(["20", "20G", "20gib"])("reads %s as 20 GiB", (text) => expect(gibibytesOf(text)).toBe(20));
  it.each(["", "x", "-1", "1T"])("refuses %j as a size", (text) => {
    expect(() => mebibytesOf(text)).toThrow(CommanderError);
    expect(() => gibibytesOf(text)).toThrow(CommanderError);
  });
});

describe("exit codes", () => {
  const failed = (code: string): FailedError => new FailedError({ code, message: "m", advice: "a" });

  it.each([
    [failed("CLUSTER_UNKNOWN"), 3],
    [failed("PLAN_INVALID"), 2],
    [failed("CLUSTER_BUSY"), 4],
    [failed("CANCELLED"), 130],
    [failed("QEMU_MISSING"), 1],
    [new UsageError("u"), 2],
    [new Error("e"), 1],
    [Object.assign(new Error("x"), { data: { code: "NODE_UNKNOWN", message: "m", advice: "a" } }), 3],
  ])("%s", (error, code) => expect(exitCodeOf(error)).toBe(code));

  it("tells a failure with its last lines and advice", () => {
    const error = new FailedError({
      code: "QEMU_FAILED",
      message: "it ended",
      advice: "look",
      command: "qemu -x",
      lastLines: ["bad"],
      log: "/l",
    });
    expect(failureText(error).split("\n")).toEqual([
      "error: it ended [QEMU_FAILED]",
      "  command: qemu -x",
      "  | bad",
      "  advice: look",
      "  log: /l",
    ]);
  });
});

describe("output", () => {
  it("lines up columns", () => {
    expect(
      table(
        ["A", "LONG"],
        [
          ["wide cell", "x"],
          ["y", ""],
        ],
      ),
    ).toBe("A           LONG\nwide cell   x\ny");
  });

  it.each([
    [5, "5s"],
    [119, "119s"],
    [300, "5m"],
    [8000, "2h"],
    [200_000, "2d"],
  ])("tells %d seconds as %s", (seconds, text) => expect(age(0, seconds * 1000)).toBe(text));

  it("tells a step with what it does, its time and its usual time", () => {
    const step = {
      id: "a",
      title: "Boot",
      group: "g",
      state: "running" as const,
      startedAt: 1000,
      deadlineMillis: 1,
      usualMillis: 4000,
      detail: "init",
      fraction: 0.5,
    };
    expect(stepLine(step, 3000)).toBe("> Boot: init 50 %  2.0 s (usually 4.0 s)");
    expect(stepLine({ ...step, state: "done", endedAt: 2500 }, 9000)).toBe("✓ Boot  1.5 s");
  });
});
