/** Port-forward over one WebSocket: for the i-th port, channel 2i carries data and 2i+1 errors; each begins with the port number. */
import type { WebSocket } from "ws";
import type { Duplex } from "node:stream";
import { describeError } from "../log.ts";
import { Channels } from "./channels.ts";

export function servePortForward(socket: WebSocket, ports: number[], dial: (port: number) => Promise<Duplex>): void {
  const channels = new Channels(socket);
  const connections = new Map<number, Promise<Duplex>>();
  const open: Duplex[] = [];
  socket.once("close", () => open.forEach((connection) => connection.destroy()));
  socket.on("error", () => socket.terminate());

  for (const [index, port] of ports.entries()) {
    const header = Buffer.alloc(2);
    header.writeUInt16LE(port);
    void channels.send(index * 2, header);
    void channels.send(index * 2 + 1, header);
    const connection = dial(port);
    connections.set(index * 2, connection);
    connection
      .then(async (stream) => {
        open.push(stream);
        await channels.pump(index * 2, stream as AsyncIterable<Buffer>);
      })
      .catch((error: unknown) =>
        channels.send(index * 2 + 1, Buffer.from(`an error occurred forwarding ${port}: ${describeError(error)}`)),
      )
      // One port's end is the end of the session: each client connection has a session of its own.
      .finally(() => ports.length === 1 && socket.close(1000));
  }
  channels.onMessage(
    (channel, data) => {
      connections.get(channel)?.then(
        (stream) => {
          if (stream.destroyed || stream.write(data)) return;
          // A server that does not read holds the client up.
          socket.pause();
          const go = (): void => {
            stream.off("drain", go).off("close", go);
            socket.resume();
          };
          stream.on("drain", go).on("close", go);
        },
        () => undefined,
      );
    },
    (channel) => {
      connections.get(channel)?.then(
        (stream) => stream.end(),
        () => undefined,
      );
    },
  );
}
