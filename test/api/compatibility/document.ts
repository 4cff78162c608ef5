/** docs/compatibility.md, made of the table that the tests run. */
import { kubectlVersions } from "../../tools/kubectl.ts";
import type { Section, Step } from "./section.ts";

/** Of what is longer only the beginning is shown. */
const MOST_LINES = 12;
const SHOWN_LINES = 6;

/** kubectl's commands in a line, "get" and the like. */
export function commandsOf(line: string): string[] {
  return [...line.matchAll(/\bkubectl ([a-z][a-z-]*)/g)].map(([, name = ""]) => name);
}

const anchor = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, "")
    .replaceAll(" ", "-");

function printed(text: string): string[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length <= MOST_LINES) return lines;
  return [...lines.slice(0, SHOWN_LINES), `… (${lines.length} lines like these)`];
}

function shown(step: Step): string[] {
  const notes = [
    ...(step.only ? [`kubectl ${step.only} only`] : []),
    ...(step.eventually ? ["in a while"] : []),
    ...(step.code ? [`exit code ${step.code}`] : []),
  ];
  const note = notes.length > 0 ? `   # ${notes.join(", ")}` : "";
  return [`$ ${step.run}${note}`, ...printed(step.prints ?? "")];
}

export function documentOf(sections: readonly Section[]): string {
  const places = new Map<string, Map<Section, number>>();
  for (const section of sections) {
    for (const name of section.steps.flatMap(({ run }) => commandsOf(run))) {
      const counts = places.get(name) ?? new Map<Section, number>();
      counts.set(section, (counts.get(section) ?? 0) + 1);
      places.set(name, counts);
    }
  }
  const rows = [...places]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, counts]) => {
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      const links = [...counts.keys()].map(({ title }) => `[${title}](#${anchor(title)})`);
      return `| \`kubectl ${name}\` | ${total} | ${links.join("; ")} |`;
    });
  const blocks = sections.map(({ title, steps }) =>
    [`## ${title}`, "", "```console", ...steps.flatMap(shown), "```", ""].join("\n"),
  );
  return `# kubectl against Drydock

Every line below is run by \`test/api/compatibility\` with the real kubectl, versions ${kubectlVersions.join(" and ")}, against a
control plane with four simulated nodes and one whose Pods are processes. It must print what stands under it, standard
output before standard error: "…" stands for anything within a line, a line of nothing but "…" for any lines, and blanks
count as one. This page is made of the same data (\`test/api/compatibility/commands\`), and a test fails where it is not;
to write it anew, run \`vitest run --project api test/api/compatibility/document.test.ts -u\`. The older kubectl runs the
sections in which it differs; with \`DRYDOCK_RUNS=all\` it runs all of them.

| command | lines | where |
|---|---|---|
${rows.join("\n")}

${blocks.join("\n")}`;
}
