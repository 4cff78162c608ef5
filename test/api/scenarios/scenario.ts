/**
 * Scenarios as data: what a user does with kubectl, and what they then see. One YAML file per kind, beside this one.
 * Blanks count as one; `*` stands for a run without blanks and `**` for anything.
 */
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const text = z.string().min(1);

const step = z.union([
  /** A kubectl command that is run once. `says` is a part of what it must print, `fails` that it must end badly. */
  z.strictObject({ do: text, says: text.optional(), fails: z.boolean().default(false) }),
  /** Objects for `kubectl apply -f -`. */
  z.strictObject({ apply: z.union([z.record(text, z.unknown()), z.array(z.record(text, z.unknown()))]) }),
  /** Objects that are refused, and what kubectl says then. */
  z.strictObject({ refused: z.record(text, z.unknown()), says: text }),
  /** A command that is asked again until it prints these lines, in any order, and no others. */
  z.strictObject({ see: text, is: z.string() }),
  /** The same, of which these lines are only a part. */
  z.strictObject({ see: text, has: text }),
  /** The conditions of an object (`kind/name`): `Type=Status Reason Message`. */
  z.strictObject({ conditions: text, are: z.string() }),
  /** All events of an object (`Kind/name`, also with `*`) in their order: `Type Reason Source Message`. */
  z.strictObject({ events: text, are: z.string() }),
  /** Some events, in any order. */
  z.strictObject({ events: text, have: text }),
  /** Remembers the last answer as $NAME for later steps; asks again until there is one. */
  z.strictObject({ remember: z.string().regex(/^[A-Z]+$/), from: text }),
  /** Seconds in which nothing is done: for what must not happen. */
  z.strictObject({ pause: z.number().positive().max(10) }),
]);

const file = z.strictObject({
  /** A control plane of its own, for scenarios that change nodes. */
  server: z.strictObject({ nodes: z.array(text), simulation: z.record(text, z.unknown()).optional() }).optional(),
  scenarios: z.array(z.strictObject({ name: text, steps: z.array(step).min(1) })).min(1),
});

export type Step = z.infer<typeof step>;
export type ScenarioFile = z.infer<typeof file> & { name: string };

export function readScenarios(folder: string): ScenarioFile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .toSorted()
    .map((name) => {
      const read = file.safeParse(parse(readFileSync(path.join(folder, name), "utf8")));
      if (!read.success) throw new Error(`${name}: ${z.prettifyError(read.error)}`);
      return { ...read.data, name: path.basename(name, ".yaml") };
    });
}

/** Words of a command: split at blanks, but not within '…' or "…". */
export function words(command: string): string[] {
  return Array.from(command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g), ([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? ""),
  );
}

export const linesOf = (said: string): string[] =>
  said
    .split("\n")
    .map((line) => line.trim().replaceAll(/\s+/g, " "))
    .filter((line) => line !== "");

/** Whether a line is as a pattern says. */
export function fits(pattern: string, line: string): boolean {
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((part) => (part === "**" ? ".*" : part === "*" ? "\\S*" : part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")))
    .join("");
  return new RegExp(`^${source}$`).test(line);
}

/** What is wrong with these lines; nothing when they are right. */
export function differ(
  lines: readonly string[],
  patterns: readonly string[],
  how: { ordered: boolean; all: boolean },
): string | undefined {
  if (how.all && lines.length !== patterns.length) return `${lines.length} lines, not ${patterns.length}`;
  if (how.ordered) {
    const at = patterns.findIndex((pattern, index) => !fits(pattern, lines[index] ?? ""));
    return at === -1 ? undefined : `line ${at + 1} is not: ${patterns[at]}`;
  }
  const missing = unmatched(lines, patterns);
  return missing === undefined ? undefined : `missing: ${missing}`;
}

/** A pattern that finds no line of its own (augmenting paths: which line a pattern takes may matter to others). */
function unmatched(lines: readonly string[], patterns: readonly string[]): string | undefined {
  const taken = new Map<number, number>();
  const take = (pattern: number, seen: Set<number>): boolean => {
    for (const [at, line] of lines.entries()) {
      if (seen.has(at) || !fits(patterns[pattern] as string, line)) continue;
      seen.add(at);
      const other = taken.get(at);
      if (other !== undefined && !take(other, seen)) continue;
      taken.set(at, pattern);
      return true;
    }
    return false;
  };
  return patterns.find((_, pattern) => !take(pattern, new Set()));
}
