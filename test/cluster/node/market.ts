/** Manifests as people publish them, applied as they are, and what must be true of them from inside and outside. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAuthority, createLeaf } from "../../../main/control-plane/pki/keys.ts";
import { eventually } from "../support.ts";
import type { NodeCluster } from "./cluster.ts";
import { visit } from "./visit.ts";

const GUESTBOOK = path.resolve(import.meta.dirname, "../../../examples/guestbook.yaml");
const MARKET = path.resolve(import.meta.dirname, "market.yaml");
const NAMESPACE = "market";

export function describeMarket(theCluster: () => NodeCluster): void {
  const kubectl = (...args: string[]): Promise<string> => theCluster().ok(["-n", NAMESPACE, ...args]);
  const inside = async (pod: string, script: string): Promise<string> =>
    (await theCluster().kubectl(["-n", NAMESPACE, "exec", pod, "--", "sh", "-c", script])).stdout;
  const redis = (command: string): Promise<string> => inside("database-0", `redis-cli ${command}`);
  const ingressPort = async (name: string): Promise<number> => {
    const field = `jsonpath={.spec.ports[?(@.name=='${name}')].nodePort}`;
    return Number(await theCluster().ok(["-n", "kube-system", "get", "service", "drydock-ingress", "-o", field]));
  };

  describe("a market of published manifests", () => {
    let authority: string;

    beforeAll(async () => {
      const ca = await createAuthority("a test's own authority");
      const leaf = await createLeaf(ca, {
        commonName: "shop",
        sans: ["shop.localhost"],
        usages: ["server auth"],
        lifetime: 86_400,
      });
      authority = ca.certificate;
      await theCluster().ok(["create", "namespace", NAMESPACE]);
      const data = { "tls.crt": leaf.certificate, "tls.key": leaf.key };
      const secret = { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: { name: "shop-tls" } };
      await theCluster().ok(["-n", NAMESPACE, "apply", "-f", "-"], JSON.stringify({ ...secret, stringData: data }));
      await theCluster().ok(["-n", NAMESPACE, "apply", "-f", MARKET]);
      // Any free port: another cluster of this computer may have the example's own.
      const guestbook = (await readFile(GUESTBOOK, "utf8")).replace(/\n *nodePort: \d+/, "");
      await theCluster().ok(["apply", "-f", "-"], guestbook);
      await kubectl("rollout", "status", "statefulset/database", "--timeout=240s");
      await kubectl("rollout", "status", "deployment/shop", "--timeout=240s");
      await kubectl("wait", "--for=condition=Ready", "pod/passer-by", "--timeout=120s");
    }, 600_000);

    afterAll(() => theCluster().ok(["delete", "namespace", "guestbook", NAMESPACE, "--wait=false"]));

    it("keeps a database's data, name and claim when its Pod is replaced", { timeout: 240_000 }, async () => {
      expect(await redis("set motto steadfast")).toBe("OK\n");
      const uid = await kubectl("get", "pod", "database-0", "-o", "jsonpath={.metadata.uid}");
      await kubectl("delete", "pod", "database-0", "--timeout=60s");
      await kubectl("rollout", "status", "statefulset/database", "--timeout=180s");
      expect(await kubectl("get", "pod", "database-0", "-o", "jsonpath={.metadata.uid}")).not.toBe(uid);
      expect(await redis("get motto")).toBe("steadfast\n");
      expect(await kubectl("get", "pvc", "-o", "jsonpath={.items[*].metadata.name} {.items[*].status.phase}")).toBe(
        "data-database-0 Bound",
      );
    });

    it("runs a job every minute, which finds the database by its Pod's name", { timeout: 300_000 }, async () => {
      await eventually(
        "the crier has cried",
        () => redis("get cries"),
        (text) => Number(text) > 0,
        240_000,
      );
      const field = "jsonpath={.status.lastSuccessfulTime}";
      expect(await eventually("it is told", () => kubectl("get", "cronjob", "crier", "-o", field), Boolean)).toMatch(
        /^\d{4}-/,
      );
      await kubectl("patch", "cronjob", "crier", "-p", '{"spec":{"suspend":true}}');
    });

    it("lets nobody near the database but the crier", { timeout: 120_000 }, async () => {
      const ask = (host: string, port: number): Promise<string> =>
        inside("passer-by", `nc -w 3 ${host} ${port} < /dev/null && echo open || echo closed`);
      for (const [host, port] of [
        ["database-0.database", 6379],
        ["shop", 80],
      ] as const)
        // The database's Pod is a new one: its node hears of its address a moment later.
        expect(
          await eventually(
            "it is closed",
            () => ask(host, port),
            (text) => text === "closed\n",
            30_000,
          ),
        ).toBe("closed\n");
    });

    it("is visited by TLS with the certificate of its Secret", { timeout: 180_000 }, async () => {
      const port = await eventually("the ingress is there", () => ingressPort("https"), Boolean, 120_000);
      const page = await eventually(
        "the shop answers",
        () => visit("shop.localhost", port, { authority }),
        ({ status }) => status === 200,
        120_000,
      );
      expect(page.text).toBe("<h1>Open</h1>\n");
    });

    it("has a guestbook that is signed and read from this computer", { timeout: 240_000 }, async () => {
      for (const name of ["redis", "api", "web"])
        await theCluster().ok(["-n", "guestbook", "rollout", "status", `deployment/${name}`, "--timeout=180s"]);
      const field = "jsonpath={.spec.ports[0].nodePort}";
      const port = Number(await theCluster().ok(["-n", "guestbook", "get", "service", "web", "-o", field]));
      const entries = (body?: string): ReturnType<typeof visit> =>
        visit("127.0.0.1", port, { path: "/api/entries", ...(body === undefined ? {} : { body }) });
      const signed = await eventually(
        "it is signed",
        () => entries("a fair wind"),
        ({ status }) => status === 200,
        60_000,
      );
      expect(signed.text).toContain("a fair wind");
      const read = await eventually(
        "it is read",
        () => entries(),
        ({ status }) => status === 200,
        60_000,
      );
      expect(read.text).toContain("a fair wind");
    });
  });
}
