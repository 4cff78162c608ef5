/** Finds keys that stand twice in one JSON object, which JSON.parse hides. */

/**
 * The paths of duplicate keys in a JSON text that parses, e.g. ["spec.replicas", "spec.containers[0].name"].
 * One pass over the text; nothing is copied but the paths that are found.
 */
export function duplicateKeys(text: string): string[] {
  const found: string[] = [];
  /** One entry an open object or array. */
  const stack: { keys: Set<string> | undefined; index: number; key: string }[] = [];
  let expectKey = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const top = stack.at(-1);
    if (code === 34 /* " */) {
      const start = at + 1;
      at = endOfString(text, start);
      if (at < 0) return found;
      if (expectKey && top?.keys) {
        const raw = text.slice(start, at);
        const key = raw.includes("\\") ? (JSON.parse(`"${raw}"`) as string) : raw;
        top.key = key;
        if (top.keys.has(key)) found.push(pathOf(stack));
        else top.keys.add(key);
        expectKey = false;
      }
    } else if (code === 123 /* { */) {
      stack.push({ keys: new Set(), index: 0, key: "" });
      expectKey = true;
    } else if (code === 91 /* [ */) {
      stack.push({ keys: undefined, index: 0, key: "" });
      expectKey = false;
    } else if (code === 125 || code === 93 /* } ] */) {
      stack.pop();
      expectKey = false;
    } else if (code === 44 /* , */ && top) {
      if (top.keys) expectKey = true;
      else top.index += 1;
    }
  }
  return found;
}

/** Where the string that begins at `start` ends; -1 where it does not. Long ones are searched, not walked through. */
export function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end >= 0 && isEscaped(text, end, start)) end = text.indexOf('"', end + 1);
  return end;
}

/** An odd number of backslashes before it. */
function isEscaped(text: string, at: number, start: number): boolean {
  let from = at;
  while (from > start && text.charCodeAt(from - 1) === 92) from -= 1;
  return (at - from) % 2 === 1;
}

function pathOf(stack: { keys: Set<string> | undefined; index: number; key: string }[]): string {
  let path = "";
  for (const level of stack) path += level.keys ? (path === "" ? level.key : `.${level.key}`) : `[${level.index}]`;
  return path;
}
