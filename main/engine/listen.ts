/** Loopback ports that stay the same from one engine to the next, as far as they can be had. */
import type { AddressInfo, Server } from "node:net";

/** Answers with the port: the wanted one, or another when somebody has it (0: any). */
export async function listenAt(server: Server, port: number): Promise<number> {
  const once = (wanted: number): Promise<number> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port: wanted }, () => {
        server.off("error", reject);
        resolve((server.address() as AddressInfo).port);
      });
    });
  if (port === 0) return once(0);
  return once(port).catch(() => once(0));
}
