/** `drydock shell`: a login shell on a node, or one command there, which ends this one with its exit code. */
import type { EngineClient } from "../engine/client.ts";
import { nodeNamed, withEngine } from "./session.ts";

type Target = { cluster: string; node: string };

/**
 * Without a command: a login shell on a terminal, whatever standard input is. A command has a terminal where this one's input
 * and output both are; else its input, output and errors are this one's, byte for byte.
 */
export function shell(name: string, command: string[], options: { cluster?: string }): Promise<void> {
  return withEngine(async (client) => {
    const found = await nodeNamed(client, name, options.cluster);
    const onTerminal = command.length === 0 || (process.stdin.isTTY && process.stdout.isTTY);
    process.exitCode = await (onTerminal ? terminal(client, found, command) : plain(client, found, command));
  });
}

async function terminal(client: EngineClient, { cluster, node }: Target, command: string[]): Promise<number> {
  const { stdin, stdout } = process;
  const size = { columns: stdout.columns || 80, rows: stdout.rows || 24 };
  const target = { kind: "node" as const, node, ...(command.length > 0 ? { command } : {}) };
  const events = await client.terminals.open({ cluster, target, ...size });
  let id: string | undefined;
  let sending: Promise<void> = Promise.resolve();
  // Keys in the order they were pressed: one call after another.
  const send = (data: string): void => {
    sending = sending
      .then(() => (id === undefined ? undefined : client.terminals.write({ terminal: id, data })))
      .catch(() => undefined);
  };
  const resize = (): void => {
    if (id !== undefined)
      void client.terminals
        .resize({ terminal: id, columns: stdout.columns || 80, rows: stdout.rows || 24 })
        .catch(() => undefined);
  };
  try {
    for await (const event of events) {
      if (event.type === "opened") {
        id = event.terminal;
        if (stdin.isTTY) stdin.setRawMode(true);
        stdin.setEncoding("utf8").on("data", send);
        // The end of a pipe is the end of a terminal's input: Ctrl-D.
        stdin.on("end", () => send("\u0004"));
        stdin.resume();
        stdout.on("resize", resize);
      } else if (event.type === "data") {
        await write(stdout, event.data);
      } else if (event.type === "exit") {
        if (event.message) process.stderr.write(`${event.message}\n`);
        return event.code;
      }
    }
    return 1;
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    stdout.off("resize", resize);
  }
}

async function plain(client: EngineClient, { cluster, node }: Target, command: string[]): Promise<number> {
  const { stdin } = process;
  const target = { kind: "node" as const, node, command, terminal: false };
  const events = await client.terminals.open({ cluster, target, columns: 80, rows: 24 });
  try {
    for await (const event of events) {
      if (event.type === "opened") forward(client, event.terminal);
      else if (event.type === "output")
        await write(process[event.stream], new Uint8Array(Buffer.from(event.base64, "base64")));
      else if (event.type === "exit") {
        if (event.message) process.stderr.write(`${event.message}\n`);
        return event.code;
      }
    }
    return 1;
  } finally {
    stdin.removeAllListeners("data").pause();
  }
}

/** Standard input to the command: a piece at a time, the next when the node has taken the one before. */
function forward(client: EngineClient, terminal: string): void {
  const { stdin } = process;
  // A command that has ended takes nothing more: what became of it is told by its exit code.
  stdin.on("data", (bytes: Buffer) => {
    stdin.pause();
    void client.terminals.write({ terminal, data: bytes.toString("base64"), encoding: "base64" }).then(
      () => stdin.resume(),
      () => undefined,
    );
  });
  stdin.once("end", () => void client.terminals.end({ terminal }).catch(() => undefined));
  stdin.once("error", () => void client.terminals.end({ terminal }).catch(() => undefined));
  stdin.resume();
}

async function write(to: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  if (!to.write(data)) await new Promise((resolve) => to.once("drain", resolve));
}
