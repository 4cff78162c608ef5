/** exec, attach, cp, port-forward and logs by kubectl, over each protocol that it speaks, to real processes. */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import path from "node:path";
import { spawn as spawnTerminal } from "node-pty";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kubectlPath } from "../../tools/kubectl.ts";
import type { KubectlVersion } from "../../tools/kubectl.ts";
import { until } from "../support.ts";
import type { Result, RunOptions } from "../support.ts";
import { ProcessNode } from "./process-node.ts";

const MEGABYTES = 8 * 1024 * 1024;
const SPDY = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false", KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" };
const digest = (data: Buffer | string): string => createHash("sha256").update(data).digest("hex");

let node: ProcessNode;
/** Answers each connection with what it was sent, once the other side has said all. */
let echo: Server;

beforeAll(async () => {
  node = await ProcessNode.start();
  const whole = createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = [];
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", () => socket.end(Buffer.concat(chunks)));
  });
  echo = whole.listen(0, "127.0.0.1");
  await once(echo, "listening");
  await node.pod("web", {
    containers: {
      main: {
        command: ["sh", "-c", "echo begun; read line; echo got $line; exit 7"],
        log: Array.from({ length: 20_000 }, (_, line) => `line ${line} of a log that is long enough\n`).join(""),
        ports: [{ name: "echo", containerPort: (echo.address() as AddressInfo).port }],
      },
      side: { command: ["true"], log: "from the side\n" },
    },
  });
});

afterAll(async () => {
  echo?.close();
  await node?.stop();
});

const ways = (["1.36", "1.32"] as const).flatMap((version) => [
  { version, way: "WebSocket", env: {} },
  { version, way: "SPDY/3.1", env: SPDY },
]);

describe.each(ways)("kubectl $version over $way", ({ version, env }) => {
  const kubectl = (args: string[], options: RunOptions = {}): Promise<Result> =>
    node.server.kubectl(args, { version, ...options, env });

  it("exec: both outputs apart, and the exit code", async () => {
    const { code, stdout, stderr } = await kubectl([
      "exec",
      "web",
      "-c",
      "main",
      "--",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 3",
    ]);
    expect(stdout).toBe("out\n");
    expect(stderr).toBe("err\ncommand terminated with exit code 3\n");
    expect(code).toBe(3);
  });

  it("exec: a command that is not there", async () => {
    const { code, stderr } = await kubectl(["exec", "web", "-c", "main", "--", "no-such-command"]);
    expect(stderr).toMatch(/error executing command in container: failed to exec in container: .*no-such-command/);
    expect(code).toBe(1);
  });

  it("exec: the end of the input reaches the process, and all of it before", async () => {
    const input = randomBytes(MEGABYTES);
    const { code, stdout } = await kubectl(["exec", "-i", "web", "-c", "main", "--", "sha256sum"], { input });
    expect(stdout).toBe(`${digest(input)}  -\n`);
    expect(code).toBe(0);
  });

  it("exec: nothing is lost at the end of a long output", async () => {
    const { code, stdout } = await kubectl(["exec", "web", "-c", "main", "--", "seq", "1", "2000000"]);
    expect(stdout.length).toBe(14_888_896);
    expect(stdout.slice(-16)).toBe("1999999\n2000000\n");
    expect(code).toBe(0);
  });

  it("exec: a process that leaves most of its input unread", async () => {
    const { code, stdout } = await kubectl(["exec", "-i", "web", "-c", "main", "--", "head", "-c", "5"], {
      input: Buffer.alloc(MEGABYTES, "abcdefgh"),
    });
    expect(stdout).toBe("abcde");
    expect(code).toBe(0);
  });

  it("exec -it: a terminal of the client's size, which follows it", async () => {
    const said = await terminal(version, env, ["exec", "-it", "web", "-c", "main", "--", "sh"]);
    expect(said).toMatch(/\b33 111\b/);
    expect(said).toMatch(/\b44 122\b/);
  });

  it("attach: joins the container's own process", async () => {
    const { stdout } = await kubectl(["attach", "-i", "web", "-c", "main"], { input: "hello\n" });
    expect(stdout).toBe("begun\ngot hello\n");
  });

  it("cp: there and back", async () => {
    const folder = path.join(node.server.folder, `cp-${version}-${Object.keys(env).length}`);
    await mkdir(path.join(folder, "in"), { recursive: true });
    const content = randomBytes(MEGABYTES);
    await writeFile(path.join(folder, "file"), content);
    const to = await kubectl(["cp", path.join(folder, "file"), `web:${folder}/in/file`, "-c", "main"]);
    expect(to).toMatchObject({ code: 0, stderr: "" });
    expect(digest(await readFile(path.join(folder, "in/file")))).toBe(digest(content));
    const back = await kubectl(["cp", `web:${folder}/in`, path.join(folder, "back"), "-c", "main"]);
    expect(back.code).toBe(0);
    expect(digest(await readFile(path.join(folder, "back/file")))).toBe(digest(content));
  });

  it("port-forward: many connections at once, each with its own end", async () => {
    const target = (echo.address() as AddressInfo).port;
    const forward = await portForward(version, env, ["port-forward", "pod/web", `:${target}`]);
    const content = randomBytes(512 * 1024);
    const answers = await Promise.all(Array.from({ length: 20 }, () => exchange(forward.port, content)));
    for (const answer of answers) expect(digest(answer)).toBe(digest(content));
    await forward.stop();
  });

  it("port-forward: a port where nothing listens", async () => {
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const target = (free.address() as AddressInfo).port;
    await new Promise((resolve) => free.close(resolve));
    const forward = await portForward(version, env, ["port-forward", "pod/web", `:${target}`]);
    expect((await exchange(forward.port, Buffer.from("x"))).length).toBe(0);
    await until(
      async () => forward.said(),
      (text) => text.includes("error forwarding port") && text.includes("ECONNREFUSED"),
    );
    await forward.stop();
  });

  it("logs: whole, and in the forms that can be asked for", async () => {
    const { stdout } = await kubectl(["logs", "web", "-c", "main"]);
    expect(stdout.split("\n")).toHaveLength(20_001);
    expect((await kubectl(["logs", "web", "-c", "main", "--tail=2"])).stdout).toMatch(
      /^line 19998 .*\nline 19999 .*\n$/,
    );
    expect((await kubectl(["logs", "web", "-c", "main", "--limit-bytes=6"])).stdout).toBe("line 0");
    // kubectl keeps the containers in a map of Go's, whose order is any.
    const both = (await kubectl(["logs", "web", "--all-containers", "--tail=1", "--prefix"])).stdout;
    expect(both.trimEnd().split("\n").toSorted()).toEqual([
      expect.stringMatching(/^\[pod\/web\/main\] line 19999 /),
      "[pod/web/side] from the side",
    ]);
    expect((await kubectl(["logs", "web"])).stderr).toMatch(/Defaulted container "main" out of: main, side/);
  });
});

describe("what is left", () => {
  it("no process of a client that went away", async () => {
    const binary = await kubectlPath();
    const environment = { ...process.env, ...node.server.environment() };
    for (const env of [{}, SPDY]) {
      const child = spawn(binary, ["exec", "-i", "web", "-c", "main", "--", "cat"], {
        env: { ...environment, ...env },
        stdio: ["pipe", "pipe", "pipe"],
      });
      child.stdin.write("hello\n");
      await new Promise((resolve) => child.stdout.once("data", resolve));
      child.kill("SIGKILL");
      await until(
        async () => node.runtime.running,
        (running) => running === 0,
      );
      expect(node.runtime.running).toBe(0);
    }
  });
});

/** Types `stty size` into a terminal of 111×33, makes it 122×44, and types it again. */
async function terminal(version: KubectlVersion, env: Record<string, string>, args: string[]): Promise<string> {
  const shell = spawnTerminal(await kubectlPath(version), args, {
    cols: 111,
    rows: 33,
    env: { ...process.env, ...node.server.environment(), ...env, TERM: "dumb" } as Record<string, string>,
  });
  let said = "";
  shell.onData((text) => (said += text));
  const ended = new Promise<void>((resolve) => shell.onExit(() => resolve()));
  const size = async (wanted: string): Promise<void> => {
    await until(
      async () => {
        shell.write("stty size\n");
        await new Promise((resolve) => setTimeout(resolve, 200));
        return said;
      },
      (text) => text.includes(wanted),
    );
  };
  await size("33 111");
  shell.resize(122, 44);
  await size("44 122");
  shell.write("exit\n");
  await ended;
  return said;
}

interface Forward {
  port: number;
  said(): string;
  stop(): Promise<void>;
}

async function portForward(version: KubectlVersion, env: Record<string, string>, args: string[]): Promise<Forward> {
  const child = spawn(await kubectlPath(version), args, {
    env: { ...process.env, ...node.server.environment(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const begun = await until(
    async () => /Forwarding from 127\.0\.0\.1:(\d+)/.exec(said)?.[1] ?? "",
    (port) => port !== "",
  );
  return {
    port: Number(begun),
    said: () => said,
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}

/** Sends all, says that it was all, and reads to the end. */
function exchange(port: number, content: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket: Socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(content));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.once("end", () => {
      socket.destroy();
      resolve(Buffer.concat(chunks));
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" ? resolve(Buffer.concat(chunks)) : reject(error),
    );
  });
}
