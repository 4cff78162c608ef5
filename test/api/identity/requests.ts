/** Requests as somebody in particular: with a token, a certificate, nothing, or acting as another. */
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { readKubeconfig } from "../../../main/control-plane/client/node-transport.ts";
import type { TestServer } from "../support.ts";

export interface Credentials {
  token?: string;
  /** PEM, both. */
  certificate?: string;
  key?: string;
  headers?: Record<string, string | string[]>;
}

export interface Answered {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: { message?: string; reason?: string; status?: unknown; [field: string]: unknown };
}

/** One request with these credentials and no others; a body is sent as JSON. */
export async function ask(
  server: TestServer,
  method: string,
  path: string,
  { token, certificate, key, headers = {} }: Credentials = {},
  body?: object,
): Promise<Answered> {
  const { server: url, ca } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}${path}`,
      {
        method,
        agent: false,
        timeout: 60_000,
        headers: {
          ...(body ? { "content-type": "application/json" } : {}),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...(ca ? { ca } : {}),
        ...(certificate ? { cert: certificate } : {}),
        ...(key ? { key } : {}),
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.once("error", reject);
        response.once("end", () => {
          const json = text.startsWith("{") ? (JSON.parse(text) as Answered["body"]) : { text };
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: json });
        });
      },
    );
    sent.once("error", reject);
    sent.once("timeout", () => sent.destroy(new Error(`no answer to ${method} ${path}`)));
    sent.end(body && JSON.stringify(body));
  });
}

/** The administrator acting as another. */
export async function askAs(
  server: TestServer,
  user: string,
  groups: readonly string[],
  method: string,
  path: string,
  body?: object,
): Promise<Answered> {
  const { certificate = "", key = "" } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
  const headers = { "impersonate-user": user, ...(groups.length > 0 ? { "impersonate-group": [...groups] } : {}) };
  return ask(server, method, path, { certificate, key, headers }, body);
}
