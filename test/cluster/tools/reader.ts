/**
 * Reads from an API server without a kubectl for each question: asking often must not take the processors from the virtual machines
 * that are asked about.
 */
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { parse } from "yaml";

interface Kubeconfig {
  clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
  users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
}

/** Where the server of a kubeconfig's first cluster is, and what its first user says who they are (PEM). */
export interface Access {
  server: URL;
  tls: { ca: Buffer; cert: Buffer; key: Buffer };
}

export async function accessOf(kubeconfig: string): Promise<Access> {
  const { clusters, users } = parse(await readFile(kubeconfig, "utf8")) as Kubeconfig;
  const decode = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64");
  return {
    server: new URL(clusters[0]?.cluster.server ?? ""),
    tls: {
      ca: decode(clusters[0]?.cluster["certificate-authority-data"]),
      cert: decode(users[0]?.user["client-certificate-data"]),
      key: decode(users[0]?.user["client-key-data"]),
    },
  };
}

export interface Reader {
  /** The object or list at a path of the API; throws what the server says when that is no success, or after a minute of silence. */
  get<T>(path: string): Promise<T>;
  close(): void;
}

const DEADLINE = 60_000;

export async function readerOf(kubeconfig: string): Promise<Reader> {
  const { server, tls } = await accessOf(kubeconfig);
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  return {
    get: <T>(path: string) =>
      new Promise<T>((resolve, reject) => {
        const options = { host: server.hostname, port: server.port, path, agent, ...tls };
        const asked = request(options, (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (part: string) => (text += part));
          response.once("error", reject);
          response.once("end", () =>
            response.statusCode === 200
              ? resolve(JSON.parse(text) as T)
              : reject(new Error(`GET ${path}: ${response.statusCode} ${text}`)),
          );
        });
        asked.setTimeout(DEADLINE, () => asked.destroy(new Error(`GET ${path}: no answer`)));
        asked.once("error", reject);
        asked.end();
      }),
    close: () => agent.destroy(),
  };
}
