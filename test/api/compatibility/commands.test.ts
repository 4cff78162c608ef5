/**
 * Runs the table of docs/compatibility.md with the real kubectl: with the newest all of it, with the older one the
 * sections in which it differs. DRYDOCK_RUNS=all runs everything with both.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kubectlVersions } from "../../tools/kubectl.ts";
import type { KubectlVersion } from "../../tools/kubectl.ts";
import { sections } from "./commands/index.ts";
import { prepare, problemOf, runStep } from "./runner.ts";
import { startTarget } from "./target.ts";
import type { Section } from "./section.ts";
import type { Target } from "./target.ts";

const EVERYTHING = process.env["DRYDOCK_RUNS"] === "all";
const sectionsOf = (version: KubectlVersion): Section[] =>
  EVERYTHING || version === kubectlVersions[0]
    ? [...sections]
    : sections.filter(({ steps }) => steps.some(({ only }) => only !== undefined));

describe.each(kubectlVersions)("kubectl %s", (version) => {
  let target: Target;
  beforeAll(async () => {
    target = await startTarget();
  });
  afterAll(() => target.stop());

  it.concurrent.each(sectionsOf(version).map((section) => [section.title, section] as const))(
    "%s",
    async (_title, section) => {
      const place = await prepare(target.server, version, section);
      await target.begin(section);
      const problems: string[] = [];
      for (const step of section.steps) {
        if (step.only !== undefined && step.only !== version) continue;
        const problem = problemOf(step, await runStep(place, step));
        if (problem !== undefined) problems.push(problem);
      }
      expect(problems.join("\n\n")).toBe("");
    },
  );
});
