// @vitest-environment happy-dom
/** Keys and the palette: sequences, typing left alone, and finding by a few letters. */
import { describe, expect, it, vi, type Mock } from "vitest";
import { createKeyListener, score, type Command } from "./commands.ts";

function command(keys: string): Omit<Command, "run"> & { run: Mock<() => void> } {
  return { id: keys, title: keys, section: "Test", keys, run: vi.fn<() => void>() };
}
const press = (
  listener: (event: KeyboardEvent) => void,
  key: string,
  init: KeyboardEventInit = {},
  target: HTMLElement = document.body,
): KeyboardEvent => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init });
  Object.defineProperty(event, "target", { value: target });
  listener(event);
  return event;
};

describe("keys", () => {
  it("run commands by one key, by two in a row, and with Ctrl", () => {
    const [help, pods, palette] = [command("?"), command("g p"), command("mod+k")];
    const listener = createKeyListener(() => [help, pods, palette]);
    press(listener, "?");
    press(listener, "g");
    press(listener, "p");
    press(listener, "k", { ctrlKey: true });
    expect([help, pods, palette].map((entry) => entry.run.mock.calls.length)).toEqual([1, 1, 1]);
  });
  it("a second key counts by itself when the two mean nothing", () => {
    const [pods, help] = [command("g p"), command("?")];
    const listener = createKeyListener(() => [pods, help]);
    press(listener, "g");
    press(listener, "?");
    expect([pods.run.mock.calls.length, help.run.mock.calls.length]).toEqual([0, 1]);
  });
  it("leave typing alone", () => {
    const filter = command("/");
    const listener = createKeyListener(() => [filter]);
    press(listener, "/", {}, document.createElement("input"));
    press(listener, "/", {}, document.createElement("textarea"));
    const editor = document.createElement("div");
    editor.className = "monaco-editor";
    press(listener, "/", {}, editor.appendChild(document.createElement("div")));
    expect(filter.run).not.toHaveBeenCalled();
    expect(press(listener, "/").defaultPrevented).toBe(true);
  });
  it("do nothing under an open dialog", () => {
    const remove = command("x");
    const listener = createKeyListener(() => [remove]);
    const dialog = document.createElement("div");
    dialog.setAttribute("role", "dialog");
    dialog.dataset["state"] = "open";
    document.body.append(dialog);
    press(listener, "x");
    expect(remove.run).not.toHaveBeenCalled();
    dialog.remove();
  });
  it("in a terminal, Ctrl keys are the shell's, except the palette's", () => {
    const [apply, palette] = [command("mod+enter"), command("mod+k")];
    const terminal = document.createElement("div");
    terminal.className = "xterm";
    const inner = terminal.appendChild(document.createElement("textarea"));
    const listener = createKeyListener(() => [apply, palette]);
    press(listener, "Enter", { ctrlKey: true }, inner);
    press(listener, "k", { ctrlKey: true }, inner);
    expect([apply.run.mock.calls.length, palette.run.mock.calls.length]).toEqual([0, 1]);
  });
});

describe("the palette", () => {
  it("needs every word and likes beginnings", () => {
    const pods = { title: "Pods", section: "Go to", words: "po" };
    const budgets = { title: "PodDisruptionBudgets", section: "Go to", words: "pdb" };
    expect(score(pods, "go pods")).toBeGreaterThan(0);
    expect(score(pods, "pods delete")).toBe(0);
    expect(score(budgets, "pdb")).toBeGreaterThan(0);
    expect(score(budgets, "budget")).toBeLessThan(score(budgets, "pod"));
  });
});
