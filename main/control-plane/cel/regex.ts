/**
 * Regular expressions as Kubernetes has them, in rules and in patterns of schemas: RE2's syntax, matched in time linear
 * in the text, so that nobody's pattern can hold up the server.
 */
import { RE2JS, RE2JSSyntaxException } from "re2js";
import { CelError } from "./errors.ts";

const compiled = new Map<string, RE2JS>();
const MOST_COMPILED = 500;

/** Compiled once. Throws CelError, in Go's words. */
export function regexOf(pattern: string): RE2JS {
  const known = compiled.get(pattern);
  if (known) return known;
  try {
    const made = RE2JS.compile(pattern);
    if (compiled.size >= MOST_COMPILED) compiled.clear();
    compiled.set(pattern, made);
    return made;
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    throw new CelError(error.message);
  }
}

/** Anywhere in the text, as in Go: a pattern that is to match all of it says so with ^ and $. */
export function matches(text: string, pattern: string): boolean {
  return regexOf(pattern).test(text);
}

/** What it matches, from the left, without overlaps; `most` of them. */
export function findAll(text: string, pattern: string, most = Number.POSITIVE_INFINITY): string[] {
  const matcher = regexOf(pattern).matcher(text);
  const found: string[] = [];
  while (found.length < most && matcher.find()) found.push(matcher.group() ?? "");
  return found;
}
