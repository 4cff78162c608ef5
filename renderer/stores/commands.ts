/**
 * Commands: everything that can be done from the palette or by a key, registered by whoever can do it
 * and gone when that leaves the screen.
 */
import { defineStore } from "pinia";
import { computed, onScopeDispose, shallowReactive, shallowRef } from "vue";

export interface Command {
  id: string;
  title: string;
  /** Where it is listed in the palette and in the shortcut help. */
  section: string;
  /** Keys one after the other, as typed: "g p", "/", "?"; "mod+k" for Ctrl or ⌘. */
  keys?: string;
  /** More words to find it by. */
  words?: string;
  run: () => unknown;
}

export const useCommands = defineStore("commands", () => {
  const sources = shallowReactive(new Map<symbol, () => Command[]>());
  const paletteOpen = shallowRef(false);
  const helpOpen = shallowRef(false);

  return {
    paletteOpen,
    helpOpen,
    all: computed(() => [...sources.values()].flatMap((source) => source())),
    add(source: () => Command[]): () => void {
      const key = Symbol("commands");
      sources.set(key, source);
      return () => sources.delete(key);
    },
  };
});

/** Offers commands while the calling component (or scope) lives. */
export function provideCommands(source: () => Command[]): void {
  onScopeDispose(useCommands().add(source));
}

/** How well `query` matches: every word must appear; a match at a word's beginning counts more. 0 is no match. */
export function score(command: Pick<Command, "title" | "section" | "words">, query: string): number {
  const text = `${command.title} ${command.section} ${command.words ?? ""}`.toLowerCase();
  let total = 1;
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const index = text.indexOf(word);
    if (index < 0) return 0;
    total += index === 0 ? 4 : /\W/.test(text[index - 1] ?? " ") ? 3 : 1;
    if (command.title.toLowerCase().startsWith(word)) total += 2;
  }
  return total;
}

const SEQUENCE_MS = 1200;

/** Turns key presses into commands; typing in a field, a terminal or an editor is left alone except for mod-keys. */
export function createKeyListener(commands: () => Command[]): (event: KeyboardEvent) => void {
  let pending = "";
  let pendingAt = 0;
  return (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const mod = event.ctrlKey || event.metaKey;
    if (mod) {
      const command = commands().find((entry) => entry.keys === `mod+${event.key.toLowerCase()}`);
      if (!command || (isTerminal(event.target) && event.key.toLowerCase() !== "k")) return;
      event.preventDefault();
      command.run();
      return;
    }
    if (event.altKey || isTyping(event.target) || event.key.length > 1) return;
    if (
      document.querySelector(
        '[role="dialog"][data-state="open"], [role="alertdialog"][data-state="open"], [role="menu"][data-state="open"], [role="listbox"][data-state="open"]',
      )
    )
      return;
    const now = Date.now();
    const sequence = pending !== "" && now - pendingAt < SEQUENCE_MS ? `${pending} ${event.key}` : event.key;
    const available = commands();
    const command =
      available.find((entry) => entry.keys === sequence) ?? available.find((entry) => entry.keys === event.key);
    if (command && command.keys === sequence) {
      pending = "";
      event.preventDefault();
      command.run();
    } else if (available.some((entry) => entry.keys?.startsWith(`${event.key} `))) {
      pending = event.key;
      pendingAt = now;
      event.preventDefault();
    } else {
      pending = "";
      if (command) {
        event.preventDefault();
        command.run();
      }
    }
  };
}

/** Fields, terminals, and Monaco, which takes its text through an element that is no field. */
function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
      target.closest('.monaco-editor, .xterm, [role="textbox"]') !== null)
  );
}

function isTerminal(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest(".xterm") !== null;
}
