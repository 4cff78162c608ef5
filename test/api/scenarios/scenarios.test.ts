/**
 * Every kind as its user meets it: the tables beside this file, played with kubectl on simulated nodes, all at the same
 * time in namespaces of their own. DRYDOCK_SCENARIOS=deployment,job plays only those files.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { TestServer, until } from "../support.ts";
import { play } from "./play.ts";
import { differ, fits, readScenarios, words } from "./scenario.ts";
import type { ScenarioFile } from "./scenario.ts";

const ONLY = process.env["DRYDOCK_SCENARIOS"]?.split(",");
const NODES = ["node-1", "node-2", "node-3", "node-4"];

const servers = new Map<string, Promise<TestServer>>();
let folder: string | undefined;

afterAll(async () => {
  for (const server of servers.values()) await (await server).stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

function serverFor({ name, server }: ScenarioFile): Promise<TestServer> {
  const key = server ? name : "all";
  const known = servers.get(key);
  if (known) return known;
  const starting = start(key, server ?? { nodes: NODES });
  servers.set(key, starting);
  return starting;
}

async function start(key: string, { nodes, simulation }: NonNullable<ScenarioFile["server"]>): Promise<TestServer> {
  const flags = [`--simulated-nodes=${nodes.join(",")}`];
  if (simulation) {
    folder ??= await mkdtemp(path.join(tmpdir(), "drydock-scenarios-"));
    const file = path.join(folder, `${key}.json`);
    const head = { apiVersion: "simulation.drydock.dev/v1alpha1", kind: "Simulation" };
    await writeFile(file, JSON.stringify({ ...head, ...simulation }));
    flags.push(`--simulation=${file}`);
  }
  const server = await TestServer.start(...flags);
  await until(
    () => server.ok("get nodes --no-headers"),
    (said) => (said.match(/\bReady\b/g) ?? []).length === nodes.length,
  );
  return server;
}

describe("what the tables mean", () => {
  it.each([
    ["web-* 1/1", "web-x7 1/1", true],
    ["web-* 1/1", "web-x7 0/1", false],
    ["a * c", "a b b c", false],
    ["a ** c", "a b b c", true],
    ["(0/3).", "(0/3).", true],
  ])("%s fits %s: %s", (pattern, line, right) => {
    expect(fits(pattern, line)).toBe(right);
  });

  it("every line wants a pattern of its own", () => {
    const how = { ordered: false, all: true };
    expect(differ(["a 1", "a 2"], ["*  2".replace("  ", " "), "a *"], how)).toBeUndefined();
    expect(differ(["a 1", "a 1"], ["a 1", "a 2"], how)).toBe("missing: a 2");
    expect(differ(["a", "b"], ["b", "a"], { ordered: true, all: true })).toBe("line 1 is not: b");
    expect(differ(["a"], ["a", "a"], how)).toBe("1 lines, not 2");
  });

  it("words may be quoted", () => {
    expect(words(`patch x -p '{"a": 1}' -o "b c"`)).toEqual(["patch", "x", "-p", '{"a": 1}', "-o", "b c"]);
  });
});

const files = readScenarios(import.meta.dirname).filter(({ name }) => !ONLY || ONLY.includes(name));
for (const file of files) {
  const scenarios = file.scenarios.map((scenario, at) => ({ ...scenario, namespace: `${file.name}-${at + 1}` }));
  describe.concurrent(`${file.name}:`, () => {
    it.for(scenarios)("$name", { timeout: 400_000 }, async ({ namespace, steps }) => {
      expect(await play(await serverFor(file), namespace, steps)).toBe(steps.length);
    });
  });
}
