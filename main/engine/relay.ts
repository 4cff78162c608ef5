/**
 * Joins a MessagePort (a window's) to the engine: messages go over as they are, both ways. When either
 * side ends, the other is closed, and the window connects again.
 */
import type { ConnectOptions } from "./client.ts";
import { openEngineSocket } from "./client.ts";

/** What Electron's MessagePortMain and Node's MessagePort have in common. */
export interface PortLike {
  on(event: "message", listener: (message: unknown) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  postMessage(message: unknown): void;
  start?(): void;
  close(): void;
}

/** Resolves once joined; the answer closes both. Throws as connectEngine does. */
export async function relayPort(port: PortLike, options: ConnectOptions = { start: true }): Promise<() => void> {
  const socket = await openEngineSocket(options);
  port.on("message", (message) => {
    const data = dataOf(message);
    if (
      socket.readyState === socket.OPEN &&
      (typeof data === "string" || data instanceof Uint8Array || data instanceof ArrayBuffer)
    )
      socket.send(data);
  });
  socket.on("message", (data: ArrayBuffer | Buffer, isBinary: boolean) => {
    port.postMessage(isBinary ? new Uint8Array(data) : Buffer.from(data as ArrayBuffer).toString("utf8"));
  });
  const close = (): void => {
    socket.close();
    port.close();
  };
  port.on("close", () => socket.close());
  socket.once("close", () => port.close());
  port.start?.();
  return close;
}

/** Electron hands over an event with `data`; Node the message itself. */
function dataOf(message: unknown): unknown {
  return typeof message === "object" && message !== null && "data" in message ? message.data : message;
}
