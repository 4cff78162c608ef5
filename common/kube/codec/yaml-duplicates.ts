/** Finds keys that stand twice in one mapping of a YAML document. */
import { isMap, isNode, isPair, isScalar, isSeq } from "yaml";
import type { Document } from "yaml";

/** The paths of duplicate keys, as `duplicateKeys` gives them for JSON. `merge` keys (<<) may stand any number of times. */
export function duplicateYamlKeys(document: Document): string[] {
  const found: string[] = [];
  walk(document.contents, "", found);
  return found;
}

function walk(node: unknown, path: string, found: string[]): void {
  if (isSeq(node)) {
    for (const [at, item] of node.items.entries()) walk(isPair(item) ? item.value : item, `${path}[${at}]`, found);
    return;
  }
  if (!isMap(node)) return;
  const seen = new Set<string>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : isNode(key) ? key.toString() : String(key);
    const at = path === "" ? name : `${path}.${name}`;
    if (seen.has(name) && name !== "<<") found.push(at);
    seen.add(name);
    walk(value, at, found);
  }
}
