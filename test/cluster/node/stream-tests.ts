/**
 * What Pods may expect of their streams: output that must arrive whole, whoever reads it how slowly. DRYDOCK_RUNS=all asks for
 * hundreds of streams at once, and for more bytes.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kubectlPath } from "../../tools/kubectl.ts";
import type { Harbour } from "./harbour.ts";
import { NAMESPACE } from "./network.ts";
import { javascript, nodeVolumes } from "./programs.ts";
import { apiOf } from "./streams.ts";
import type { Api } from "./streams.ts";

const EVERYTHING = process.env["DRYDOCK_RUNS"] === "all";
const BYTES = EVERYTHING ? 64 << 20 : 8 << 20;
/** A command is a process that Docker begins, most of a second of an emulated processor; who follows a log costs a handshake. */
const COMMANDS = EVERYTHING ? 200 : 20;
const FOLLOWERS = EVERYTHING ? 200 : 40;

const sha = (bytes: Buffer): string => createHash("sha1").update(bytes).digest("hex");

export function describeStreaming(harbour: Harbour): void {
  describe("streams", () => {
    let api: Api;
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), "drydock-test-"));
      api = await apiOf(harbour.cluster.kubeconfig, NAMESPACE);
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it("bring all of a command's output, also to a slow reader, and its exit code", { timeout: 300_000 }, async () => {
      const script = `head -c ${BYTES} /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' e >&2; exit 7`;
      const { stdout, stderr, code } = await api.exec("sailor", ["sh", "-c", script], undefined, { slowly: true });
      expect([stdout.length, stderr.length, code]).toEqual([BYTES, 100_000, 7]);
      expect(stdout.every((byte) => byte === 120)).toBe(true);
    });

    it("take all of a command's input, also when it is slow to read it", { timeout: 300_000 }, async () => {
      const input = Buffer.alloc(BYTES / 4, "some bytes that are not all the same ");
      const { stdout } = await api.exec("sailor", ["sh", "-c", "sleep 3; sha1sum"], input);
      expect(stdout.toString()).toBe(`${sha(input)}  -\n`);
    });

    it("have a terminal of the size that is asked for", { timeout: 120_000 }, async () => {
      // A terminal without a size yet, which the command may be quicker to see than the size, is an error to busybox.
      const script =
        "i=0; until stty size 2>/dev/null | grep -q ' 123$' || [ $i -ge 120 ]; do i=$((i+1)); sleep 0.5; done; stty size";
      expect(await api.terminal("sailor", ["sh", "-c", script], { Width: 123, Height: 45 })).toBe("45 123\r\n");
    });

    it(`run ${COMMANDS} commands at once, each with its own end`, { timeout: 600_000 }, async () => {
      const ends = await Promise.all(
        Array.from({ length: COMMANDS }, (_, index) =>
          api.exec("sailor", ["sh", "-c", `echo out ${index}; echo err ${index} >&2; exit ${index % 5}`]),
        ),
      );
      expect(ends.map(({ stdout, stderr, code }) => `${stdout}${stderr}${code}`)).toEqual(
        ends.map((_, index) => `out ${index}\nerr ${index}\n${index % 5}`),
      );
    });

    it(`bring a log to ${FOLLOWERS} who follow it, to its last line`, { timeout: 300_000 }, async () => {
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "teller", namespace: NAMESPACE },
        spec: {
          nodeName: harbour.cluster.worker,
          restartPolicy: "Never",
          containers: [
            {
              name: "main",
              image: "drydock.local/busybox:1",
              command: [
                "sh",
                "-c",
                "echo begin; until [ -e /tmp/go ]; do sleep 0.5; done; seq 1 500; printf 'no end of line'",
              ],
            },
          ],
        },
      };
      await harbour.cluster.ok(["create", "-f", "-"], JSON.stringify(pod));
      await harbour.kubectl("wait", "--for=condition=Ready", "pod/teller", "--timeout=120s");
      const followers = Array.from({ length: FOLLOWERS }, () => api.follow("teller"));
      await harbour.inside("teller", "sleep 10; touch /tmp/go");
      const whole = `begin\n${Array.from({ length: 500 }, (_, index) => `${index + 1}\n`).join("")}no end of line`;
      const wrong = (await Promise.all(followers)).filter((text) => text !== whole);
      expect(
        wrong.map((text) => `${text.length} of ${whole.length}, ending ${JSON.stringify(text.slice(-20))}`),
      ).toEqual([]);
      expect(await harbour.kubectl("logs", "teller")).toBe(whole);
    });

    it("copy files both ways", { timeout: 300_000 }, async () => {
      const [from, to] = [path.join(folder, "from"), path.join(folder, "to")];
      const bytes = Buffer.alloc(3 << 20, "ballast of many kinds, ");
      await writeFile(from, bytes);
      await harbour.kubectl("cp", from, "sailor:/tmp/cargo");
      expect(await harbour.inside("sailor", "sha1sum < /tmp/cargo")).toBe(`${sha(bytes)}  -\n`);
      await harbour.kubectl("cp", "sailor:/tmp/cargo", to);
      expect(sha(await readFile(to))).toBe(sha(bytes));
    });

    it("forward a port: all bytes both ways, at the pace of who reads", { timeout: 300_000 }, async () => {
      const script = `
        const { createHash } = require("node:crypto");
        require("node:net").createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
          const hash = createHash("sha1");
          socket.on("data", (part) => hash.update(part));
          socket.on("end", () => socket.end(hash.digest("hex") + "\\n" + "y".repeat(3000000)));
          socket.on("error", () => undefined);
          setTimeout(() => socket.resume(), 5000);
        }).listen(8000);`;
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "lock", namespace: NAMESPACE },
        spec: {
          nodeName: harbour.cluster.worker,
          terminationGracePeriodSeconds: 1,
          volumes: nodeVolumes,
          containers: [javascript(script, { readinessProbe: { tcpSocket: { port: 8000 }, periodSeconds: 1 } })],
        },
      };
      await harbour.cluster.ok(["create", "-f", "-"], JSON.stringify(pod));
      await harbour.kubectl("wait", "--for=condition=Ready", "pod/lock", "--timeout=120s");
      const args = ["--kubeconfig", harbour.cluster.kubeconfig, "-n", NAMESPACE, "port-forward", "pod/lock", ":8000"];
      const forward = spawn(await kubectlPath(), args, { stdio: ["ignore", "pipe", "inherit"] });
      try {
        const port = await new Promise<number>((resolve) =>
          forward.stdout.setEncoding("utf8").on("data", (text: string) => {
            const found = /127\.0\.0\.1:(\d+)/.exec(text)?.[1];
            if (found) resolve(Number(found));
          }),
        );
        const bytes = Buffer.alloc(BYTES / 2, "through the lock ");
        const text = await new Promise<string>((resolve, reject) => {
          const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
          let received = "";
          socket.setEncoding("latin1").on("data", (part: string) => (received += part));
          socket.once("end", () => resolve(received));
          socket.once("error", reject);
          socket.end(bytes);
        });
        expect(text.slice(0, 41)).toBe(`${sha(bytes)}\n`);
        expect(text.length).toBe(41 + 3_000_000);
      } finally {
        forward.kill();
      }
    });
  });
}
