/**
 * What a machine's second NIC is plugged into under Lima. Lima connects it once, when the machine starts, and never again;
 * the engine comes and goes. So a small process of its own holds the NIC's end as long as the machine lives, and the
 * cluster's switch connects to it as it does to QEMU (network/switch.ts): whole frames both ways.
 */
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { FrameDecoder } from "../network/frames.ts";

export interface WirePaths {
  /** Where the machine's NIC connects. */
  nic: string;
  /** Where the switch connects. */
  network: string;
}

/** Who does not read loses frames, as on a wire. */
const QUEUE_BYTES = 8 * 1024 * 1024;

/** Resolves when the machine's NIC has been unplugged, or nothing was plugged in for so long. */
export async function runWire(paths: WirePaths, patienceMillis: number): Promise<void> {
  const switches = new Set<Socket>();
  let nic: Socket | undefined;
  const unplugged = Promise.withResolvers<void>();
  const patience = setTimeout(unplugged.resolve, patienceMillis);
  const nicServer = createServer((socket) => {
    // One machine, one NIC.
    if (nic) return void socket.destroy();
    nic = socket;
    clearTimeout(patience);
    pass(socket, () => switches);
    socket.once("close", unplugged.resolve);
  });
  const networkServer = createServer((socket) => {
    switches.add(socket);
    pass(socket, () => (nic ? [nic] : []));
    socket.once("close", () => switches.delete(socket));
  });
  // The switch's end last: who finds it finds the other too.
  await listen(nicServer, paths.nic);
  await listen(networkServer, paths.network);
  await unplugged.promise;
  clearTimeout(patience);
  for (const socket of [nic, ...switches]) socket?.destroy();
  await Promise.all([nicServer, networkServer].map((server) => new Promise((resolve) => server.close(resolve))));
}

/** Only whole frames: who connects later must not begin in the middle of one. */
function pass(from: Socket, to: () => Iterable<Socket>): void {
  const decoder = new FrameDecoder();
  from.on("data", (bytes: Buffer) => {
    try {
      for (const frame of decoder.push(bytes)) {
        for (const socket of to()) if (socket.writableLength < QUEUE_BYTES) socket.write(frame);
      }
    } catch {
      // No frames: nothing that follows on this connection would be one.
      from.destroy();
    }
  });
  from.on("error", () => from.destroy());
}

function listen(server: Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(file, resolve);
  });
}
