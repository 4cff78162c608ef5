/** Writes docs/failures.md from the catalogue: `node main/clusters/failure-docs.ts`. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CATALOGUE } from "./failure.ts";

/** The page: one row per failure, by code. */
export function failuresPage(): string {
  const rows = Object.entries(CATALOGUE)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { meaning, advice }]) => `| \`${code}\` | ${cell(meaning)} | ${cell(advice)} |`);
  return [
    "# Failures",
    "",
    "Every failure has a code, says what happened and what to do. In JSON (`-o json`) it is an object with `code`, `message`, `advice` and, where there are any, `command`, `lastLines`, `log` and `action`.",
    "",
    "| code | what happened | what to do |",
    "|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(path.resolve(import.meta.dirname, "../../docs/failures.md"), failuresPage());
}
