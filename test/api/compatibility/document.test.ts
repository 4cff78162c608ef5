import path from "node:path";
import { expect, it } from "vitest";
import { kubectlPath, kubectlVersions } from "../../tools/kubectl.ts";
import { run } from "../support.ts";
import { sections } from "./commands/index.ts";
import { commandsOf, documentOf } from "./document.ts";

it("docs/compatibility.md says what is run", async () => {
  const file = path.resolve(import.meta.dirname, "../../../docs/compatibility.md");
  await expect(documentOf(sections)).toMatchFileSnapshot(file);
});

it.each(kubectlVersions)("every command of kubectl %s is in the table", async (version) => {
  const { stdout } = await run(await kubectlPath(version), ["--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z-]+) {2,}/gm)].map(([, name = ""]) => name);
  const steps = sections.flatMap((section) => section.steps).filter(({ only = version }) => only === version);
  const covered = new Set(steps.flatMap((step) => commandsOf(step.run)));
  expect(commands.length).toBeGreaterThan(35);
  expect(commands.filter((name) => !covered.has(name))).toEqual([]);
});
