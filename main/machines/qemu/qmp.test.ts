import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Qmp } from "./qmp.ts";
import type { QmpEvent } from "./qmp.ts";

type Command = { execute: string; id: number; arguments?: Record<string, unknown> };

let folder: string;
let server: Server;
let client: Socket | undefined;
const open: Qmp[] = [];
let answer: (command: Command, socket: Socket) => unknown;

function say(socket: Socket, message: unknown): void {
  socket.write(`${JSON.stringify(message)}\r\n`);
}

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  answer = () => ({});
  server = createServer((socket) => {
    client = socket;
    let rest = "";
    say(socket, { QMP: { version: {}, capabilities: [] } });
    socket.on("data", (bytes) => {
      const lines = (rest + bytes.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const command = JSON.parse(line) as Command;
        const value = command.execute === "qmp_capabilities" ? {} : answer(command, socket);
        if (value instanceof Error)
          say(socket, { id: command.id, error: { class: "GenericError", desc: value.message } });
        else if (value !== undefined) say(socket, { id: command.id, return: value });
      }
    });
    socket.on("error", () => socket.destroy());
  });
});

afterEach(async () => {
  for (const qmp of open.splice(0)) qmp.close();
  client?.destroy();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

async function connected(): Promise<Qmp> {
  const file = path.join(folder, "qmp");
  server.listen(file);
  const qmp = await Qmp.connect(file, { deadlineMillis: 5000 });
  open.push(qmp);
  return qmp;
}

describe("Qmp", () => {
  it("waits for a socket that is made later", async () => {
    const file = path.join(folder, "qmp");
    const connecting = Qmp.connect(file, { deadlineMillis: 5000 });
    setTimeout(() => server.listen(file), 50);
    open.push(await connecting);
    expect(await open[0]?.execute("query-status")).toEqual({});
  });

  it("gives up when QEMU has ended, and at the deadline", async () => {
    const file = path.join(folder, "qmp");
    await expect(Qmp.connect(file, { deadlineMillis: 5000, alive: () => false })).rejects.toThrow("QEMU has ended");
    await expect(Qmp.connect(file, { deadlineMillis: 0 })).rejects.toThrow("nobody listens");
    server.listen(file);
  });

  it("matches answers that come in another order", async () => {
    const qmp = await connected();
    const late: Command[] = [];
    answer = (command, socket) => {
      if (command.execute === "first") {
        late.push(command);
        return undefined;
      }
      queueMicrotask(() => say(socket, { id: late[0]?.id, return: "one" }));
      return "two";
    };
    expect(await Promise.all([qmp.execute("first"), qmp.execute("second")])).toEqual(["one", "two"]);
  });

  it("rejects with QEMU's words", async () => {
    const qmp = await connected();
    answer = () => new Error("no such device");
    await expect(qmp.execute("device_del", { id: "x" })).rejects.toThrow("device_del: no such device");
  });

  it("rejects a command that is not answered in time", async () => {
    const qmp = await connected();
    answer = () => undefined;
    await expect(qmp.execute("stop", {}, 20)).rejects.toThrow("no answer within");
  });

  it("tells events, also when half a line comes first", async () => {
    const qmp = await connected();
    const events: QmpEvent[] = [];
    qmp.onEvent((event) => events.push(event));
    client?.write('{"event": "STOP", "data": {"re');
    client?.write('ason": 1}}\n{"event": "RESUME"}\n');
    await expect.poll(() => events).toEqual([{ event: "STOP", data: { reason: 1 } }, { event: "RESUME" }]);
  });

  it("rejects what waits when the connection closes", async () => {
    const qmp = await connected();
    answer = (_command, socket) => void socket.destroy();
    await expect(qmp.execute("quit")).rejects.toThrow("the connection was closed");
    expect(qmp.closed).toBe(true);
    await expect(qmp.execute("stop")).rejects.toThrow("the connection is closed");
  });
});
