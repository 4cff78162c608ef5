/** A terminal at the engine: opened, written to, resized, closed. What is typed before it is open is kept for it. */
import type { EngineClient } from "../engine/transport.ts";

export type TerminalTarget = Parameters<EngineClient["terminals"]["open"]>[0]["target"];

export interface TerminalHandlers {
  data: (text: string) => void;
  /** Its program ended, or (code undefined) it was lost. */
  ended: (message: string) => void;
}

export interface TerminalSession {
  write(data: string): void;
  resize(columns: number, rows: number): void;
  close(): void;
}

/** Tried in order; the first that exists becomes the shell. */
export const CONTAINER_SHELL = [
  "/bin/sh",
  "-c",
  "for shell in bash ash sh; do command -v $shell >/dev/null 2>&1 && exec $shell; done; exec /bin/sh",
];

export function openTerminal(
  client: (signal?: AbortSignal) => Promise<EngineClient>,
  request: { cluster: string; target: TerminalTarget; columns: number; rows: number },
  handlers: TerminalHandlers,
  describe: (error: unknown) => string,
): TerminalSession {
  const life = new AbortController();
  let terminal = "";
  let pending = "";
  let size = { columns: request.columns, rows: request.rows };
  let sending: Promise<void> = Promise.resolve();

  /** One call after the other: keys must not overtake each other. What gathers meanwhile goes as one. */
  function flush(): void {
    sending = sending.then(send);
  }
  async function send(): Promise<void> {
    if (pending === "" || terminal === "" || life.signal.aborted) return;
    const data = pending;
    pending = "";
    try {
      const engine = await client(life.signal);
      await engine.terminals.write({ terminal, data });
    } catch (error) {
      fail(error);
    }
  }
  function fail(error: unknown): void {
    if (life.signal.aborted) return;
    life.abort();
    handlers.ended(describe(error));
  }
  async function run(): Promise<void> {
    const engine = await client(life.signal);
    const events = await engine.terminals.open(request, { signal: life.signal });
    for await (const event of events) {
      if (event.type === "opened") {
        terminal = event.terminal;
        if (size.columns !== request.columns || size.rows !== request.rows) resize(size.columns, size.rows);
        flush();
      } else if (event.type === "data") handlers.data(event.data);
      else if (event.type === "exit") {
        life.abort();
        return handlers.ended(
          event.message ?? (event.code === 0 ? "The shell has ended." : `The shell has ended with code ${event.code}.`),
        );
      }
    }
    fail(new Error("The connection to the terminal was lost."));
  }
  function resize(columns: number, rows: number): void {
    size = { columns, rows };
    if (terminal === "" || life.signal.aborted) return;
    client(life.signal)
      .then((engine) => engine.terminals.resize({ terminal, columns, rows }))
      .catch(fail);
  }
  run().catch(fail);

  return {
    write(data) {
      if (life.signal.aborted) return;
      pending += data;
      flush();
    },
    resize,
    close: () => life.abort(),
  };
}
