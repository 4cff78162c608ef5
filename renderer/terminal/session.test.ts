/** Terminal sessions: typed before they are open, ended, lost. */
import { afterEach, describe, expect, it } from "vitest";
import { eventually, inMemoryEngine, type InMemory } from "../testing/in-memory.ts";
import { openTerminal, type TerminalSession } from "./session.ts";

let engine: InMemory;
let session: TerminalSession | undefined;
afterEach(() => {
  session?.close();
  engine.dispose();
});

async function open() {
  engine = inMemoryEngine({ scene: "busy" });
  const link = await engine.connect(new AbortController().signal);
  const seen = { text: "", ended: "" };
  session = openTerminal(
    () => Promise.resolve(link.client),
    { cluster: "drydock", target: { kind: "node", node: "drydock-worker-1" }, columns: 80, rows: 24 },
    { data: (text) => (seen.text += text), ended: (message) => (seen.ended = message) },
    (error) => (error instanceof Error ? error.message : String(error)),
  );
  return seen;
}

describe("a terminal", () => {
  it("sends what was typed before it was open, in order", async () => {
    const seen = await open();
    for (const key of "hello\r") session?.write(key);
    await eventually("the answer", () => seen.text.includes("you said: hello"));
    expect(seen.ended).toBe("");
  });
  it("says that its shell has ended, and sends nothing after", async () => {
    const seen = await open();
    session?.write("exit\r");
    await eventually("the end", () => seen.ended !== "");
    expect(seen.ended).toBe("The shell has ended.");
    session?.write("x");
  });
  it("says that it was lost with the engine", async () => {
    const seen = await open();
    await eventually("the prompt", () => seen.text.includes("drydock-worker-1"));
    engine.cut();
    await eventually("the end", () => seen.ended !== "");
    expect(seen.ended).not.toBe("The shell has ended.");
  });
});
