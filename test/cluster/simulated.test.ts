/** A cluster's life with nodes that only pretend: quick, and without virtual machines. */
import { existsSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import { Dock, eventually, run } from "./support.ts";

let dock: Dock;
beforeAll(async () => {
  dock = await Dock.make();
});
afterAll(() => dock.dispose());

async function api(pathAndQuery: string, method = "GET", body?: string): Promise<{ status: number; body: string }> {
  const { connectEngine } = await import("../../main/engine/client.ts");
  const connection = await connectEngine({ home: dock.home });
  try {
    return await connection.client.kube.request({
      cluster: "sim",
      method: method as "GET",
      path: pathAndQuery,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      ...(body === undefined ? {} : { body }),
    });
  } finally {
    connection.close();
  }
}

describe("a simulated cluster", () => {
  it("is created with its steps and times told, all nodes Ready", async () => {
    const result = await dock.drydock(["up", "sim", "--driver", "simulated", "--workers", "3"]);
    expect(result.stderr).toMatch(/✓ Start the control plane {2}\d+\.\d s/);
    expect(result.stderr).toMatch(/✓ sim-worker-3 is Ready/);
    expect(result.code).toBe(0);
    const cluster = await dock.json<ClusterSummary>("status", "sim");
    expect(cluster).toMatchObject({ state: "running", controlPlane: "running" });
    expect(cluster.nodes.map((node) => [node.name, node.ready])).toEqual([
      ["sim-master-1", true],
      ["sim-worker-1", true],
      ["sim-worker-2", true],
      ["sim-worker-3", true],
    ]);
  });

  it("is refused a second time under the same name, and names that are no DNS label always", async () => {
    expect((await dock.drydock(["up", "Not_A_Label", "--driver", "simulated"])).code).toBe(2);
    const again = await dock.drydock(["up", "sim", "--driver", "simulated"]);
    expect(again.stderr).toContain("running already");
    expect(again.code).toBe(0);
  });

  it("is refused with a simulation that is none, by the name of the field", async () => {
    const file = path.join(dock.home, "bad.yaml");
    await writeFile(file, "apiVersion: simulation.drydock.dev/v1alpha1\nkind: Simulation\npods: [{ run: soon }]\n");
    const refused = await dock.drydock(["up", "bad", "--driver", "simulated", "--simulation", file]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("pods[0].run");
    const missing = await dock.drydock(["up", "bad", "--driver", "simulated", "--simulation", `${file}.none`]);
    expect(missing.stderr).toContain("no such file");
    await rm(file);
  });

  it("keeps its objects over down and up", async () => {
    const configMap = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "kept", namespace: "default" },
      data: { a: "1" },
    };
    expect((await api("/api/v1/namespaces/default/configmaps", "POST", JSON.stringify(configMap))).status).toBe(201);
    await dock.ok("down", "sim");
    expect(await dock.json<ClusterSummary>("status", "sim")).toMatchObject({
      state: "stopped",
      controlPlane: "stopped",
    });
    expect((await dock.drydock(["tunnel", "x", "-c", "sim"])).stderr).toContain("CLUSTER_STOPPED");
    await dock.ok("up", "sim");
    expect(JSON.parse((await api("/api/v1/namespaces/default/configmaps/kept")).body)).toMatchObject({
      data: { a: "1" },
    });
  });

  it("restarts a control plane that dies, on the same port", async () => {
    const before = await dock.json<ClusterSummary>("status", "sim");
    const [victim] = dock.processes().filter((found) => found.command.includes("control-plane"));
    process.kill(victim?.pid as number, "SIGKILL");
    const after = await eventually(
      "control plane serves again",
      () => dock.json<ClusterSummary>("status", "sim"),
      (cluster) => cluster.state === "running" && !dock.processes().some((found) => found.pid === victim?.pid),
    );
    expect(after.apiServer).toBe(before.apiServer);
    expect((await api("/api/v1/namespaces/default/configmaps/kept")).status).toBe(200);
  });

  it("survives kill -9 of the engine: no orphan stays, nothing acknowledged is lost", async () => {
    const engine = dock.enginePid();
    process.kill(engine, "SIGKILL");
    await eventually(
      "the control plane ends with its engine",
      () => Promise.resolve(dock.processes()),
      (left) => left.length === 0,
      30_000,
    );
    await dock.ok("up", "sim");
    expect(dock.enginePid()).not.toBe(engine);
    expect((await api("/api/v1/namespaces/default/configmaps/kept")).status).toBe(200);
  });

  it("merges its context into the user's kubeconfig and takes it out again when deleted", async () => {
    const merged = await dock.json<{ path: string; context: string }>("kubeconfig", "sim", "--merge");
    expect(merged).toEqual({ path: path.join(dock.home, "user-kubeconfig"), context: "drydock-sim" });
    await dock.ok("delete", "sim", "--yes");
    const { stdout } = await run("cat", [merged.path]);
    expect(stdout).not.toContain("drydock-sim");
  });

  it("leaves no process, socket or file behind", async () => {
    expect(await readdir(path.join(dock.home, "clusters"))).toEqual([]);
    expect(dock.processes()).toEqual([]);
    expect(dock.sockets()).toEqual(["engine.sock"]);
    await dock.ok("engine", "stop");
    expect(dock.sockets()).toEqual([]);
    expect((await dock.drydock(["status", "sim"])).code).toBe(3);
  });
});

describe("a data folder removed by hand", () => {
  it("ends the engine and what it ran, since nobody could take that up", async () => {
    const lost = await Dock.make();
    try {
      await lost.ok("up", "sim", "--driver", "simulated", "--workers", "0");
      const engine = lost.enginePid();
      await rm(lost.home, { recursive: true, force: true });
      await eventually(
        "nothing runs",
        () => Promise.resolve(lost.processes().length + (existsSync(`/proc/${engine}`) ? 1 : 0)),
        (running) => running === 0,
      );
      expect(lost.sockets()).toEqual([]);
    } finally {
      await lost.dispose();
    }
  });
});
