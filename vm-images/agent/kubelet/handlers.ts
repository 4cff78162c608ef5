/** Carries out what probes and lifecycle hooks ask for: exec, httpGet, tcpSocket, grpc, sleep. */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { Container } from "../../../common/kube/types.ts";
import { sleep } from "../command.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { resolvePort } from "./pod.ts";

export interface Outcome {
  success: boolean;
  message: string;
}

export interface Handler {
  exec?: { command?: string[] };
  httpGet?: {
    path?: string;
    port: number | string;
    host?: string;
    scheme?: string;
    httpHeaders?: { name: string; value: string }[];
  };
  tcpSocket?: { port: number | string; host?: string };
  grpc?: { port: number; service?: string };
  sleep?: { seconds: number };
}

export interface HandlerTarget {
  runtime: Runtime;
  containerId: string;
  container: Container;
  podIP: string;
}

const OUTPUT_LIMIT = 10 * 1024;
/** What the runtime itself takes to begin a process, on an emulated machine above all, is not held against the container. */
const EXEC_ALLOWANCE = 5000;

/** Never throws: a handler that cannot be run has failed. */
export async function runHandler(handler: Handler, target: HandlerTarget, timeoutMillis: number): Promise<Outcome> {
  try {
    if (handler.exec) return await execInContainer(target, handler.exec.command ?? [], timeoutMillis);
    if (handler.httpGet) return await httpGet(handler.httpGet, target, timeoutMillis);
    if (handler.tcpSocket)
      return await tcpConnect(
        handler.tcpSocket.host || target.podIP,
        resolvePort(handler.tcpSocket.port, target.container),
        timeoutMillis,
      );
    if (handler.grpc) {
      const { grpcHealth } = await import("./grpc-health.ts");
      return await grpcHealth(target.podIP, handler.grpc.port, handler.grpc.service ?? "", timeoutMillis);
    }
    if (handler.sleep) {
      await sleep(Math.min(handler.sleep.seconds * 1000, timeoutMillis));
      return { success: true, message: "" };
    }
    return { success: false, message: "missing probe handler" };
  } catch (error) {
    return { success: false, message: error instanceof Error ? error.message : String(error) };
  }
}

async function execInContainer(target: HandlerTarget, command: string[], timeoutMillis: number): Promise<Outcome> {
  const process = await target.runtime.exec(target.containerId, { command, tty: false, stdin: false });
  let output = "";
  const collect = (chunk: Buffer): void => {
    if (output.length < OUTPUT_LIMIT) output += chunk.toString("utf8");
  };
  process.stdout.on("data", collect);
  process.stderr.on("data", collect);
  const deadline = new AbortController();
  const late = sleep(timeoutMillis + EXEC_ALLOWANCE, deadline.signal).then(() => "late" as const);
  const code = await Promise.race([process.exitCode, late]);
  deadline.abort();
  if (code === "late") {
    process.close();
    return {
      success: false,
      message: `command timed out: ${JSON.stringify(command.join(" "))} timed out after ${timeoutMillis / 1000}s`,
    };
  }
  return { success: code === 0, message: output };
}

function httpGet(
  probe: NonNullable<Handler["httpGet"]>,
  target: HandlerTarget,
  timeoutMillis: number,
): Promise<Outcome> {
  const port = resolvePort(probe.port, target.container);
  if (port === undefined) return Promise.resolve({ success: false, message: `no port named ${probe.port}` });
  const scheme = (probe.scheme ?? "HTTP").toLowerCase();
  const host = probe.host || target.podIP;
  const path = probe.path?.startsWith("/") ? probe.path : `/${probe.path ?? ""}`;
  const url = `${scheme}://${host}:${port}${path}`;
  const headers: Record<string, string> = { "User-Agent": "kube-probe/1.36", Accept: "*/*", Connection: "close" };
  for (const { name, value } of probe.httpHeaders ?? []) headers[name] = value;
  return new Promise((resolve) => {
    const options = {
      host,
      port,
      path,
      headers,
      agent: false,
      rejectUnauthorized: false,
      signal: AbortSignal.timeout(timeoutMillis),
    };
    const request = (scheme === "https" ? httpsRequest : httpRequest)(options, (response) => {
      const status = response.statusCode ?? 0;
      response.resume();
      request.destroy();
      resolve(
        status >= 200 && status < 400
          ? { success: true, message: "" }
          : { success: false, message: `HTTP probe failed with statuscode: ${status}` },
      );
    });
    request.once("error", (error: NodeJS.ErrnoException) =>
      resolve({ success: false, message: `Get ${JSON.stringify(url)}: ${networkError(error, host, port)}` }),
    );
    request.end();
  });
}

function tcpConnect(host: string, port: number | undefined, timeoutMillis: number): Promise<Outcome> {
  if (port === undefined) return Promise.resolve({ success: false, message: "no such port" });
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.setTimeout(timeoutMillis, () => {
      socket.destroy();
      resolve({ success: false, message: `dial tcp ${host}:${port}: i/o timeout` });
    });
    socket.once("connect", () => {
      socket.destroy();
      resolve({ success: true, message: "" });
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      resolve({ success: false, message: networkError(error, host, port) }),
    );
  });
}

/** The words people search for. */
function networkError(error: NodeJS.ErrnoException, host: string, port: number): string {
  if (error.name === "AbortError" || error.name === "TimeoutError")
    return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
  if (error.code === "ECONNREFUSED") return `dial tcp ${host}:${port}: connect: connection refused`;
  if (error.code === "EHOSTUNREACH") return `dial tcp ${host}:${port}: connect: no route to host`;
  if (error.code === "ECONNRESET") return "EOF";
  return error.message;
}
