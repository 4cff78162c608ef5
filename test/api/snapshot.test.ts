/** A control plane's store copied while it works, and brought back: what a cluster's administrator does before a risk. */
import { rename } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { entry, nodeRuntime } from "../../main/host/paths.ts";
import { TestServer, run } from "./support.ts";
import type { Result } from "./support.ts";

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server?.stop());

function snapshot(...args: string[]): Promise<Result> {
  const { command, environment } = nodeRuntime();
  return run(command, [entry("control-plane"), "snapshot", ...args], { env: environment });
}

it("goes back to the moment of the snapshot, and watchers list again", async () => {
  const data = path.join(server.folder, "data");
  const file = path.join(server.folder, "copy.db");
  await server.ok("create configmap before --from-literal=a=1");
  const saved = await snapshot("save", file, "--data", data);
  expect([saved.code, JSON.parse(saved.stdout)]).toMatchObject([0, { file, totalKey: expect.any(Number) }]);
  await server.ok("create configmap after --from-literal=a=1");
  const known = await server.ok("get configmap after -o jsonpath={.metadata.resourceVersion}");

  expect(await snapshot("restore", file, "--data", data)).toMatchObject({ code: 1, stderr: /there already/ });
  await server.end();
  for (const end of ["", "-wal", "-shm"])
    await rename(path.join(data, `store.db${end}`), path.join(server.folder, `old.db${end}`)).catch(
      (error: unknown) => {
        // What was closed in order leaves no log beside it.
        if (end === "") throw error;
      },
    );
  expect(await snapshot("restore", file, "--data", data)).toMatchObject({ code: 0 });
  await server.launch();

  expect(await server.ok("get configmap before -o jsonpath={.data.a}")).toBe("1");
  expect(await server.fails("get configmap after")).toContain("NotFound");
  const client = await server.client();
  const { metadata } = await client.list({ group: "", version: "v1", resource: "configmaps" });
  expect(Number(metadata.resourceVersion)).toBeGreaterThan(Number(known));
  const watch = client.watch({ group: "", version: "v1", resource: "configmaps" }, { resourceVersion: known });
  await expect(watch.next()).rejects.toMatchObject({ code: 410 });
});
