import { describe, expect, it } from "vitest";
import { parseYaml } from "../../../../common/kube/codec/json.ts";
import { readYaml } from "./reading.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const long = (count: number): string =>
  `data:\n${Array.from({ length: count }, (_, at) => `  key-${at}: "value ${at}"\n`).join("")}`;

describe("reading YAML", () => {
  it.each([
    ["JSON", '{"data":{"a":"1","n":9007199254740993}}'],
    ["a flow mapping", "{data: {a: 'yes', b: yes}}"],
    ["a short document", "data:\n  a: 0o17\n  b: 017\n"],
    ["a long one", long(500)],
    ["a long one with a large integer", `${long(500)}n: 9007199254740993\n`],
    ["a long one with a key twice", `${long(500)}a: {b: 1, b: 2}\n`],
    ["several documents", `${long(500)}---\nother: 1\n`],
    ["nothing but a long comment", `# ${"x".repeat(5000)}\n`],
  ])("gives what the parser gives: %s", async (_what, text) => {
    const { value, duplicates } = await readYaml(bytes(text));
    expect(value).toEqual(parseYaml(text).value ?? null);
    expect(duplicates).toEqual(parseYaml(text).duplicates);
  });

  it.each([
    ["short", "a: ["],
    ["long", `${long(500)}a: [`],
    ["deep", "[".repeat(5000)],
    ["no UTF-8", Buffer.concat([Buffer.from(long(500)), Buffer.from([0xff])])],
    [
      "aliases that multiply",
      `${long(300)}a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*b,*b,*b]\n`,
    ],
  ])("refuses what is none: %s", async (_what, text) => {
    const given = Buffer.from(text);
    let words = "";
    try {
      parseYaml(given);
    } catch (error) {
      words = (error as Error).message;
    }
    expect(words).toMatch(/^error converting YAML to JSON/);
    await expect(readYaml(given)).rejects.toMatchObject({ reason: "BadRequest" });
  });

  it("reads many at once, each its own, and leaves the loop to others", async () => {
    const texts = Array.from({ length: 8 }, (_, at) => `${long(1000)}which: ${at}\n`);
    let turns = 0;
    const turning = setInterval(() => (turns += 1), 1);
    const values = await Promise.all(texts.map((text) => readYaml(bytes(text))));
    clearInterval(turning);
    expect(values.map(({ value }) => (value as { which: number }).which)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    // Read here, the eight would have left the loop eight turns.
    expect(turns).toBeGreaterThan(20);
  });
});
