/** Applying manifests: what would change, what did, and the server's complaints at their lines. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { KubeObject } from "../../common/kube/object.ts";
import { createKubeApi, type KubeApi } from "../kube/api.ts";
import { discover, type ResourceInfo } from "../kube/discovery.ts";
import { parseManifest } from "../kube/yaml-lines.ts";
import { inMemoryEngine, type InMemory } from "../testing/in-memory.ts";
import { applyManifest, editable, readable, warningsOf, type ApplyOptions, type Outcome } from "./manifests.ts";

let engine: InMemory;
let api: KubeApi;
let resources: ResourceInfo[];
beforeEach(async () => {
  engine = inMemoryEngine({ scene: "busy" });
  const link = await engine.connect(new AbortController().signal);
  api = createKubeApi("drydock", () => Promise.resolve(link.client));
  resources = await discover(api);
});
afterEach(() => engine.dispose());

const options = (dryRun: boolean): ApplyOptions => ({
  dryRun,
  force: false,
  namespace: "shop",
  find: (apiVersion, kind) =>
    resources.find(
      (entry) => entry.kind === kind && `${entry.group}${entry.group && "/"}${entry.version}` === apiVersion,
    ),
});
const apply = (text: string, dryRun = false): Promise<Outcome[]> =>
  applyManifest(api, parseManifest(text), options(dryRun));
const config = (value: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: fresh\ndata:\n  key: ${value}\n`;

describe("applying", () => {
  it("creates, changes, and notices when nothing changes", async () => {
    const results: string[] = [];
    for (const value of ["a", "b", "b"]) results.push((await apply(config(value)))[0]?.result ?? "");
    expect(results).toEqual(["created", "changed", "unchanged"]);
    expect(
      engine.double
        .kube("drydock")
        .all("configmaps")
        .find((object) => object.metadata.name === "fresh")?.metadata.namespace,
    ).toBe("shop");
  });
  it("tries without writing, and shows before and after", async () => {
    await apply(config("a"));
    const [outcome] = await apply(config("b"), true);
    expect(outcome).toMatchObject({ result: "changed" });
    expect(outcome?.before).toContain("key: a");
    expect(outcome?.after).toContain("key: b");
    expect(outcome?.after).not.toMatch(/uid|resourceVersion|creationTimestamp/);
    expect((await apply(config("a")))[0]?.result).toBe("unchanged");
  });
  it("goes on after a refused document, and says where it was refused", async () => {
    const bad = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: -2\n";
    const outcomes = await apply(`${bad}---\n${config("a")}`);
    expect(outcomes.map((outcome) => outcome.result)).toEqual(["failed", "created"]);
    expect(outcomes[0]?.problems).toMatchObject([{ line: 6 }]);
    expect(outcomes[0]?.problems[0]?.message).toContain("must be greater than or equal to 0");
  });
  it("says which kind the cluster does not serve", async () => {
    const [outcome] = await apply("apiVersion: ships.example.com/v1\nkind: Ship\nmetadata:\n  name: a\n");
    expect(outcome?.problems).toMatchObject([
      { line: 2, message: "This cluster serves no Ship in ships.example.com/v1." },
    ]);
  });
});

describe("YAML of live objects", () => {
  const object: KubeObject = {
    apiVersion: "v1",
    kind: "Pod",
    status: { phase: "Running" },
    spec: { nodeName: "n" },
    metadata: { name: "a", uid: "u", resourceVersion: "5", managedFields: [{ manager: "m" }], labels: { app: "a" } },
  };
  it("keeps the version to edit by, and nothing of the server's own to compare", () => {
    expect(editable(object)).toBe(
      'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  uid: u\n  resourceVersion: "5"\n  labels:\n    app: a\nspec:\n  nodeName: n\n',
    );
    expect(readable(object)).toBe(
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    app: a\nspec:\n  nodeName: n\n",
    );
  });
});

describe("warnings", () => {
  it("are read from their header, however many", () => {
    expect(warningsOf('299 - "unknown field \\"spec.x\\"", 299 kube "v1 is old, use v2"')).toEqual([
      'unknown field "spec.x"',
      "v1 is old, use v2",
    ]);
    expect(warningsOf("")).toEqual([]);
  });
});
