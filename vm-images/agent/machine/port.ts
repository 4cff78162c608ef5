/**
 * The virtio-serial port to the host: one JSON object a line, both ways (common/node/identity.ts). The host may
 * be away: what is said then is dropped, but for the last `hello`, which every `ping` asks for again.
 *
 * The port is a character device that reads end-of-file while nobody is connected; it is polled then, slowly.
 */
import { open, readdir, readFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { AgentMessage, HostMessage } from "../../../common/node/identity.ts";
import { sleep } from "../command.ts";
import type { Log } from "../log.ts";

const IDLE_POLL = 150;
const MAX_LINE = 1 << 20;

export class HostPort {
  readonly #name: string;
  readonly #log: Log;
  #handle: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();
  #queued = 0;

  constructor(name: string, log: Log) {
    this.#name = name;
    this.#log = log;
  }

  /** Reads until the signal aborts; the port may appear late. */
  async run(onMessage: (message: HostMessage) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const path = await devicePath(this.#name);
        if (path) this.#handle = await open(path, "r+");
        if (this.#handle) await this.#read(this.#handle, onMessage, signal);
      } catch (error) {
        this.#log.error("port", this.#name, error);
      } finally {
        await this.#handle?.close().catch(() => undefined);
        this.#handle = undefined;
      }
      await sleep(1000, signal);
    }
  }

  send(message: AgentMessage): void {
    // A host that does not read must not make us keep everything it misses.
    if (this.#queued > 64) return;
    this.#queued++;
    this.#writing = this.#writing
      .then(async () => {
        await this.#handle?.write(`${JSON.stringify(message)}\n`);
      })
      .catch((error: unknown) => this.#log.error("port", "write", error))
      .finally(() => this.#queued--);
  }

  async #read(handle: FileHandle, onMessage: (message: HostMessage) => void, signal: AbortSignal): Promise<void> {
    const buffer = Buffer.alloc(64 * 1024);
    let rest = "";
    while (!signal.aborted) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) {
        // Nobody is connected. Half a line of a host that vanished is of no use to the next one.
        rest = "";
        await sleep(IDLE_POLL, signal);
        continue;
      }
      const lines = (rest + buffer.toString("utf8", 0, bytesRead)).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_LINE) rest = "";
      for (const line of lines) {
        if (line.trim() === "") continue;
        try {
          onMessage(JSON.parse(line) as HostMessage);
        } catch (error) {
          this.#log.error("port", "a line from the host", error);
        }
      }
    }
  }
}

/** There is no udev here that would make links by name: the kernel's own list has it. */
async function devicePath(name: string): Promise<string | undefined> {
  const folder = "/sys/class/virtio-ports";
  for (const device of await readdir(folder).catch(() => [] as string[])) {
    if ((await readFile(`${folder}/${device}/name`, "utf8")).trim() === name) return `/dev/${device}`;
  }
  return undefined;
}
