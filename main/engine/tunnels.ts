/**
 * Tunnels: a loopback port of this computer that leads to a Service, carried by the kubelet of a running
 * node, which dials the Service's cluster address from inside.
 */
import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { isStatus } from "../../common/kube/status.ts";
import type { Service } from "../../common/kube/types.ts";
import type { Cluster } from "../clusters/cluster.ts";
import { fail } from "../clusters/failure.ts";
import { kubeletConnect } from "../clusters/kubelet-api.ts";
import { getJSON } from "../clusters/watch.ts";

export interface Tunnel {
  id: string;
  cluster: string;
  namespace: string;
  service: string;
  port: number;
  url: string;
}

interface Open extends Tunnel {
  server: Server;
  sockets: Set<Socket>;
}

export class Tunnels {
  private readonly tunnels = new Map<string, Open>();
  private readonly log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.log = log;
  }

  list(): Tunnel[] {
    return [...this.tunnels.values()].map(({ id, cluster, namespace, service, port, url }) => ({
      id,
      cluster,
      namespace,
      service,
      port,
      url,
    }));
  }

  /** `port` by number or name; the Service's only (or first) one when it is left out. */
  async open(
    cluster: Cluster,
    options: { namespace: string; service: string; port?: number | string | undefined; hostPort: number },
  ): Promise<{ id: string; url: string; hostPort: number }> {
    const { namespace, service, hostPort } = options;
    const found = await serviceOf(cluster, namespace, service);
    const port = portOf(found, options.port);
    const address = found.spec?.clusterIP;
    if (!address || address === "None")
      throw fail("UNSUPPORTED", `Service ${namespace}/${service} has no cluster address`, {
        advice: "Tunnel to a Service with a ClusterIP.",
      });
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      this.carry(cluster, socket, `${address.includes(":") ? `[${address}]` : address}:${port}`).catch(
        (error: unknown) => {
          this.log(`tunnel to ${namespace}/${service}: ${error instanceof Error ? error.message : String(error)}`);
          socket.destroy();
        },
      );
    });
    const actual = await listen(server, hostPort);
    const id = randomUUID();
    const url = `http://127.0.0.1:${actual}`;
    this.tunnels.set(id, { id, cluster: cluster.name, namespace, service, port, url, server, sockets });
    return { id, url, hostPort: actual };
  }

  async close(id: string): Promise<void> {
    const tunnel = this.tunnels.get(id);
    if (!tunnel) throw fail("OPERATION_UNKNOWN", "that tunnel is closed");
    this.tunnels.delete(id);
    for (const socket of tunnel.sockets) socket.destroy();
    await new Promise<void>((resolve) => tunnel.server.close(() => resolve()));
  }

  async closeAll(cluster?: string): Promise<void> {
    for (const tunnel of this.tunnels.values()) {
      if (cluster === undefined || tunnel.cluster === cluster) await this.close(tunnel.id);
    }
  }

  private async carry(cluster: Cluster, socket: Socket, authority: string): Promise<void> {
    const node =
      cluster.nodes.find((candidate) => candidate.running() && candidate.ready) ??
      cluster.nodes.find((candidate) => candidate.running());
    if (!node) throw fail("CLUSTER_STOPPED", `no node of ${cluster.name} runs`);
    const { socket: inside, head } = await kubeletConnect(cluster.kubelet(node), authority);
    if (socket.destroyed) {
      inside.destroy();
      return;
    }
    inside.on("error", () => socket.destroy());
    inside.once("close", () => socket.destroy());
    socket.once("close", () => inside.destroy());
    if (head.length > 0) socket.write(head);
    socket.pipe(inside).pipe(socket);
  }
}

async function serviceOf(cluster: Cluster, namespace: string, name: string): Promise<Service> {
  try {
    return await getJSON<Service>(
      cluster.running(),
      `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`,
    );
  } catch (error) {
    if (isStatus(error, "NotFound"))
      throw fail("SERVICE_UNKNOWN", `there is no Service ${namespace}/${name}`, { cause: error });
    throw error;
  }
}

/** The Service's port number for what the user named. */
export function portOf(service: Service, wanted: number | string | undefined): number {
  const ports = service.spec?.ports ?? [];
  const found =
    wanted === undefined ? ports[0] : ports.find((port) => port.name === wanted || port.port === Number(wanted));
  if (found) return found.port;
  throw fail("SERVICE_UNKNOWN", `Service ${service.metadata.name} has no port ${wanted ?? ""}`, {
    lastLines: ports.map((port) => `${port.name ?? ""} ${port.port}`.trim()),
  });
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "EADDRINUSE"
          ? fail("PORT_TAKEN", `port ${port} of 127.0.0.1 is in use`, { advice: "Choose another port, or 0 for any." })
          : error,
      ),
    );
    server.listen({ host: "127.0.0.1", port }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : port);
    });
  });
}
