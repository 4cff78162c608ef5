/** What operators look at: figures under the names dashboards know, health checks, the version, and the limits. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestServer, until } from "./support.ts";

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start("--simulated-nodes=1");
});
afterAll(() => server?.stop());

describe("/metrics", () => {
  it("has the names dashboards know, with their labels", async () => {
    await server.ok("create deployment web --image=web --replicas=2");
    await server.ok("rollout status deployment web --timeout=60s");
    await server.ok("get pods");
    await server.ok("apply --server-side -f -", {
      input: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } }),
    });
    const { text, headers } = await server.raw("GET", "/metrics");
    expect(headers["content-type"]).toContain("version=0.0.4");
    const value = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
    expect(value(/^apiserver_request_total\{code="201",.*resource="deployments".*verb="POST".*\} (\d+)$/m)).toBe(1);
    expect(value(/^apiserver_request_total\{.*resource="configmaps",scope="resource".*verb="APPLY".*\} (\d+)$/m)).toBe(
      1,
    );
    expect(
      value(/^apiserver_request_duration_seconds_count\{.*resource="pods",scope="namespace".*verb="LIST".*\} (\d+)$/m),
    ).toBeGreaterThan(0);
    expect(value(/^apiserver_current_inflight_requests\{request_kind="readOnly"\} (\d+)$/m)).toBe(1);
    expect(value(/^apiserver_storage_objects\{resource="pods"\} (\d+)$/m)).toBe(2);
    expect(value(/^apiserver_resource_objects\{group="apps",resource="deployments"\} (\d+)$/m)).toBe(1);
    expect(value(/^etcd_request_duration_seconds_count\{operation="create",type="pods"\} (\d+)$/m)).toBe(2);
    expect(value(/^workqueue_adds_total\{name="deployment-controller"\} (\d+)$/m)).toBeGreaterThan(0);
    expect(value(/^workqueue_work_duration_seconds_count\{name="deployment-controller"\} (\d+)$/m)).toBeGreaterThan(0);
    expect(value(/^workqueue_depth\{name="deployment-controller"\} (\d+)$/m)).toBe(0);
    expect(value(/^scheduler_schedule_attempts_total\{profile="default-scheduler",result="scheduled"\} (\d+)$/m)).toBe(
      2,
    );
    expect(value(/^scheduler_pod_scheduling_sli_duration_seconds_count\{attempts="1"\} (\d+)$/m)).toBe(2);
    expect(value(/^scheduler_pod_scheduling_attempts_bucket\{le="1"\} (\d+)$/m)).toBe(2);
    expect(
      value(
        /^apiserver_request_sli_duration_seconds_count\{component="apiserver",group="",resource="pods",scope="namespace".*verb="LIST",version="v1"\} (\d+)$/m,
      ),
    ).toBeGreaterThan(0);
    expect(value(/^aggregator_unavailable_apiservice\{name="v1.apps"\} (\d+)$/m)).toBe(0);
    expect(value(/^scheduler_pending_pods\{queue="active"\} (\d+)$/m)).toBe(0);
    expect(value(/^leader_election_master_status\{name="kube-scheduler"\} (\d+)$/m)).toBe(1);
    expect(value(/^rest_client_requests_total\{code="201",host="in-process",method="POST"\} (\d+)$/m)).toBeGreaterThan(
      0,
    );
    expect(
      value(/^apiserver_flowcontrol_nominal_limit_seats\{priority_level="workload-low"\} (\d+)$/m),
    ).toBeGreaterThan(0);
    expect(value(/^process_resident_memory_bytes ([\d.e+]+)$/m)).toBeGreaterThan(1e6);
    expect(value(/^process_cpu_seconds_total ([\d.]+)$/m)).toBeGreaterThan(0);
  });

  it("every line is of the exposition format", async () => {
    const { text } = await server.raw("GET", "/metrics");
    const line =
      /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? (\+Inf|NaN|-?[\d.]+(e[+-]?\d+)?))$/;
    expect(
      text
        .trim()
        .split("\n")
        .filter((one) => !line.test(one)),
    ).toEqual([]);
  });
});

describe("health", () => {
  it.each(["healthz", "livez", "readyz"])("/%s", async (root) => {
    await until(
      () => server.raw("GET", `/${root}`),
      ({ status, text }) => status === 200 && text === "ok",
    );
    const verbose = await server.raw("GET", `/${root}?verbose`);
    expect(verbose.text).toMatch(/^\[\+\]ping ok\n\[\+\]log ok\n\[\+\]etcd ok\n/);
    expect(verbose.text).toContain(`${root} check passed\n`);
    expect(verbose.text).toContain("[+]poststarthook/rbac/bootstrap-roles ok\n");
    expect((await server.raw("GET", `/${root}/etcd`)).text).toBe("ok");
    expect((await server.raw("GET", `/${root}/poststarthook/rbac/bootstrap-roles`)).text).toBe("ok");
    expect((await server.raw("GET", `/${root}/nothing`)).status).toBe(404);
    const without = await server.raw("GET", `/${root}?verbose&exclude=etcd&exclude=odd`);
    expect(without.text).toContain("[+]etcd excluded: ok\n");
    expect(without.text).toContain('warn: some health checks cannot be excluded: no matches for "odd"\n');
  });

  it("/version has numbers in strings", async () => {
    expect(JSON.parse((await server.raw("GET", "/version")).text)).toMatchObject({ major: "1", minor: "36" });
  });
});

describe("limits", () => {
  it("a body over 3 MiB is refused with 413, before it was sent whole", async () => {
    const body = JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "big" },
      data: { a: "x".repeat(3_200_000) },
    });
    const headers = { "content-type": "application/json" };
    const { status, text } = await server.raw("POST", "/api/v1/namespaces/default/configmaps", { headers, body });
    expect(status).toBe(413);
    expect(JSON.parse(text)).toMatchObject({ reason: "RequestEntityTooLarge", code: 413 });
  });
});
