import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClusterPlan } from "../../common/contract/cluster.ts";
import { FILE_VERSION, readClusterFile, writeClusterFile } from "./cluster-file.ts";
import type { ClusterRecord } from "./cluster-file.ts";
import { toFailure } from "./failure.ts";
import { nodesOf } from "./plan.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-file-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const plan = ClusterPlan.parse({ name: "lab" });
const record: ClusterRecord = {
  version: FILE_VERSION,
  name: "lab",
  plan,
  createdAt: "2030-01-01T00:00:00.000Z",
  accelerator: "tcg",
  apiServerPort: 40123,
  phase: "running",
  nodes: nodesOf(plan),
  mergedInto: [],
  trusted: false,
};

async function codeOfReading(): Promise<string> {
  return readClusterFile(folder).then(
    () => "none",
    (error: unknown) => toFailure(error).code,
  );
}

describe("cluster file", () => {
  it("reads what was written, and leaves no temporary file", async () => {
    await writeClusterFile(folder, record);
    await writeClusterFile(folder, { ...record, phase: "stopped" });
    expect(await readClusterFile(folder)).toEqual({ ...record, phase: "stopped" });
    expect(await readdir(folder)).toEqual(["cluster.json"]);
  });

  it.each(["", "{", "[]", '{"version":1}', '{"version":1,"name":"lab","nodes":{}}'])(
    "reports a damaged file %j and leaves it alone",
    async (content) => {
      await writeFile(path.join(folder, "cluster.json"), content);
      expect(await codeOfReading()).toBe("CLUSTER_FILE_DAMAGED");
      expect(await readFile(path.join(folder, "cluster.json"), "utf8")).toBe(content);
    },
  );

  it("reports a missing file as damaged and a newer one as newer", async () => {
    expect(await codeOfReading()).toBe("CLUSTER_FILE_DAMAGED");
    await writeFile(
      path.join(folder, "cluster.json"),
      JSON.stringify({ ...record, version: FILE_VERSION + 1, surprise: true }),
    );
    expect(await codeOfReading()).toBe("CLUSTER_FILE_NEWER");
  });

  it("keeps the old content when the new record is wrong", async () => {
    await writeClusterFile(folder, record);
    await expect(writeClusterFile(folder, { ...record, apiServerPort: 1.5 })).rejects.toThrow(
      /apiServerPort|expected int/,
    );
    expect(await readClusterFile(folder)).toEqual(record);
  });
});
