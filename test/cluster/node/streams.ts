/** A container's streams as a program meets them, without a kubectl for each: exec, attach and logs of the API over WebSocket and HTTPS. */
import { request } from "node:https";
import { WebSocket } from "ws";
import { accessOf } from "../tools/reader.ts";

export interface Ended {
  stdout: Buffer;
  stderr: Buffer;
  code: number;
}

export interface Api {
  exec(pod: string, command: string[], input?: Buffer | string, options?: { slowly?: boolean }): Promise<Ended>;
  /** A terminal of that size; answers with all that it showed. */
  terminal(pod: string, command: string[], size: { Width: number; Height: number }): Promise<string>;
  /** The log to its end, followed. */
  follow(pod: string, signal?: AbortSignal): Promise<string>;
}

const DEADLINE = 240_000;

export async function apiOf(kubeconfig: string, namespace: string): Promise<Api> {
  const { server, tls } = await accessOf(kubeconfig);
  const open = (pod: string, command: string[], flags: Record<string, string>): WebSocket => {
    const query = new URLSearchParams({ container: "main", ...flags });
    for (const word of command) query.append("command", word);
    const url = `wss://${server.host}/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query}`;
    return new WebSocket(url, ["v5.channel.k8s.io"], { ...tls, perMessageDeflate: false });
  };
  const run = (
    socket: WebSocket,
    begin: (send: (channel: number, data: Buffer) => void) => void,
    slowly = false,
  ): Promise<Ended> =>
    new Promise((resolve, reject) => {
      const parts: Buffer[][] = [[], [], [], []];
      const timer = setTimeout(() => socket.terminate(), DEADLINE);
      socket.on("open", () => begin((channel, data) => socket.send(Buffer.concat([Buffer.from([channel]), data]))));
      socket.on("message", (raw: Buffer) => {
        parts[raw[0] as number]?.push(raw.subarray(1));
        if (!slowly) return;
        socket.pause();
        setTimeout(() => socket.resume(), 2);
      });
      socket.once("error", reject);
      socket.once("close", (closed) => {
        clearTimeout(timer);
        const [, stdout = [], stderr = [], error = []] = parts;
        const text = Buffer.concat(error).toString();
        if (text === "")
          return reject(new Error(`the stream closed (${closed}) and did not say how the command ended`));
        const status = JSON.parse(text) as {
          status: string;
          details?: { causes?: { message: string }[] };
          message?: string;
        };
        const code = status.status === "Success" ? 0 : Number(status.details?.causes?.[0]?.message ?? -1);
        resolve({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr), code });
      });
    });
  return {
    exec: (pod, command, input, { slowly } = {}) => {
      const flags = { stdout: "true", stderr: "true", ...(input === undefined ? {} : { stdin: "true" }) };
      const begin = (send: (channel: number, data: Buffer) => void): void => {
        if (input === undefined) return;
        const bytes = Buffer.from(input as Buffer);
        for (let at = 0; at < bytes.length; at += 65_536) send(0, bytes.subarray(at, at + 65_536));
        send(255, Buffer.from([0]));
      };
      return run(open(pod, command, flags), begin, slowly);
    },
    terminal: async (pod, command, size) => {
      const socket = open(pod, command, { stdin: "true", stdout: "true", tty: "true" });
      return (await run(socket, (send) => send(4, Buffer.from(JSON.stringify(size))))).stdout.toString();
    },
    follow: (pod, signal) =>
      new Promise((resolve, reject) => {
        const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=main&follow=true`;
        const asked = request(
          { host: server.hostname, port: server.port, path, ...tls, agent: false, ...(signal ? { signal } : {}) },
          (response) => {
            let text = "";
            response.setEncoding("utf8").on("data", (part: string) => (text += part));
            response.once("end", () => resolve(text));
            response.once("error", reject);
          },
        );
        asked.once("error", reject);
        asked.setTimeout(DEADLINE, () => asked.destroy(new Error("the log fell silent")));
        asked.end();
      }),
  };
}
