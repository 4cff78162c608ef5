/** TCP from inside the node: `CONNECT host:port`, and into a Pod's own network for port-forward. */
import { spawn } from "node:child_process";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

const CONNECT_DEADLINE = 10_000;

/** A TCP address, or the path of a Unix socket. */
export type Target = { host: string; port: number } | { path: string };

export function dial(target: Target): Promise<Socket> {
  const name = "path" in target ? target.path : `${target.host}:${target.port}`;
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, allowHalfOpen: true });
    const timer = setTimeout(() => socket.destroy(new Error(`connect to ${name}: timed out`)), CONNECT_DEADLINE);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/**
 * A connection to a port of a Pod, also one that listens on the Pod's loopback only: then a small program in the
 * Pod's network namespace makes it.
 */
export async function dialPod(podIP: string, sandboxPid: number, port: number): Promise<Duplex> {
  try {
    return await dial({ host: podIP, port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED" || sandboxPid === 0) throw error;
  }
  const child = spawn("nsenter", ["-t", String(sandboxPid), "-n", "busybox", "nc", "127.0.0.1", String(port)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let message = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (message += text));
  const stream = Duplex.from({ writable: child.stdin, readable: child.stdout });
  child.once("error", (error) => stream.destroy(error));
  child.once("close", (code) => {
    if (code !== 0 && code !== null) stream.destroy(new Error(message.trim() || `connection to port ${port} failed`));
  });
  // Whoever uses the stream hears of its end; an error after that concerns nobody.
  stream.on("error", () => undefined);
  stream.once("close", () => void child.kill());
  return stream;
}
