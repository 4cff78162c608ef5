/**
 * Sockets on this computer that lead to a node's Docker, for the ordinary docker command. In the run folder, which nobody
 * else can enter; open until their cluster stops or the engine ends.
 */
import { createHash } from "node:crypto";
import { chmod, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import path from "node:path";
import type { Cluster } from "../clusters/cluster.ts";
import { connectDocker } from "../clusters/node-docker.ts";

interface Open {
  cluster: string;
  path: string;
  server: Server;
  sockets: Set<Socket>;
}

export class DockerSockets {
  private readonly run: string;
  private readonly log: (line: string) => void;
  private readonly opened = new Map<string, Promise<Open>>();

  constructor(run: string, log: (line: string) => void) {
    this.run = run;
    this.log = log;
  }

  /** Its path; the same each time. Throws when the node does not run. */
  async open(cluster: Cluster, nodeName: string): Promise<string> {
    const node = cluster.node(nodeName);
    // Throws what stands against it.
    cluster.kubelet(node);
    const key = `${cluster.name}/${nodeName}`;
    let open = this.opened.get(key);
    if (!open) {
      open = this.listen(cluster, nodeName, key);
      open.catch(() => this.opened.delete(key));
      this.opened.set(key, open);
    }
    return (await open).path;
  }

  /** Closes those of clusters that are not among these. */
  async retain(clusters: ReadonlySet<string>): Promise<void> {
    for (const [key, opening] of this.opened) {
      const open = await opening.catch(() => undefined);
      if (!open || clusters.has(open.cluster)) continue;
      this.opened.delete(key);
      for (const socket of open.sockets) socket.destroy();
      await new Promise<void>((resolve) => open.server.close(() => resolve()));
      await rm(open.path, { force: true });
    }
  }

  closeAll(): Promise<void> {
    return this.retain(new Set());
  }

  private async listen(cluster: Cluster, nodeName: string, key: string): Promise<Open> {
    const file = path.join(this.run, `docker-${createHash("sha256").update(key).digest("hex").slice(0, 10)}.sock`);
    const sockets = new Set<Socket>();
    // A client that has said all it has to say still listens ("docker run -i" at the end of its input).
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      this.carry(cluster, nodeName, socket).catch((error: unknown) => {
        this.log(`docker of ${nodeName}: ${error instanceof Error ? error.message : String(error)}`);
        socket.destroy();
      });
    });
    await rm(file, { force: true });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(file, resolve));
    await chmod(file, 0o600);
    return { cluster: cluster.name, path: file, server, sockets };
  }

  private async carry(cluster: Cluster, nodeName: string, socket: Socket): Promise<void> {
    const inside = await connectDocker(cluster.kubelet(cluster.node(nodeName)));
    inside.on("error", () => socket.destroy());
    inside.once("close", () => socket.destroy());
    socket.once("close", () => inside.destroy());
    socket.pipe(inside).pipe(socket);
  }
}
