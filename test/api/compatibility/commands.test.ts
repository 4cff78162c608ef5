/** Runs the table of docs/compatibility.md with the real kubectl. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kubectlVersions } from "../../tools/kubectl.ts";
import { sections } from "./commands/index.ts";
import { prepare, problemOf, runStep } from "./runner.ts";
import { startTarget } from "./target.ts";
import type { Target } from "./target.ts";

describe.each(kubectlVersions)("kubectl %s", (version) => {
  let target: Target;
  beforeAll(async () => {
    target = await startTarget();
  });
  afterAll(() => target.stop());

  it.concurrent.each(sections.map((section) => [section.title, section] as const))("%s", async (_title, section) => {
    const place = await prepare(target.server, version, section);
    await target.begin(section);
    const problems: string[] = [];
    for (const step of section.steps) {
      if (step.only !== undefined && step.only !== version) continue;
      const problem = problemOf(step, await runStep(place, step));
      if (problem !== undefined) problems.push(problem);
    }
    expect(problems.join("\n\n")).toBe("");
  });
});
