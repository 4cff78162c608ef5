/** Every built-in kind, one definition each. A new kind is one more file and one more line here. */
import type { ResourceDefinition } from "./definition.ts";

/** Reads nothing and starts nothing; each call gives fresh definitions. */
export function builtinResources(): ResourceDefinition[] {
  return [];
}
