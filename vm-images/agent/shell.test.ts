import { afterAll, describe, expect, it } from "vitest";
import { CommandError } from "./command.ts";
import { Shell } from "./shell.ts";

describe("Shell", () => {
  const shell = new Shell();
  afterAll(() => shell.close());

  it("gives output, with input and odd arguments", async () => {
    expect(await shell.run("cat", [], { input: "one\ntwo's $HOME `x`\n" })).toBe("one\ntwo's $HOME `x`\n");
    expect(await shell.run("printf", ["%s|%s", "it's", "$HOME"])).toBe("it's|$HOME");
    expect(await shell.run("true", [])).toBe("");
  });

  it("gives the error of a command that fails, and goes on", async () => {
    const error = await shell.run("sh", ["-c", "echo bad >&2; exit 3"]).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(CommandError);
    expect((error as CommandError).exitCode).toBe(3);
    expect((error as CommandError).stderr.trim()).toBe("bad");
    expect(await shell.run("echo", ["still here"])).toBe("still here\n");
  });

  it("keeps the order of commands asked for at once", async () => {
    const answers = await Promise.all([1, 2, 3, 4].map((number) => shell.run("echo", [String(number)])));
    expect(answers).toEqual(["1\n", "2\n", "3\n", "4\n"]);
  });

  it("gives up a command that does not end", async () => {
    await expect(shell.run("sleep", ["30"], { deadline: 100 })).rejects.toThrow("no end within 100 ms");
    expect(await shell.run("echo", ["again"])).toBe("again\n");
  });

  it("runs what was asked for meanwhile when it has given one up", async () => {
    const hung = shell.run("sleep", ["30"], { deadline: 100 });
    const waiting = ["one", "two"].map((word) => shell.run("echo", [word], { deadline: 5000 }));
    await expect(hung).rejects.toThrow("no end within 100 ms");
    expect(await Promise.all(waiting)).toEqual(["one\n", "two\n"]);
  });
});
