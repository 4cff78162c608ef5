/**
 * The channel protocol of Kubernetes' exec and attach over WebSocket (v5.channel.k8s.io, v4 alike): the
 * first byte of a message is the channel. Pure.
 */
import type { Status } from "../../common/kube/status.ts";

export const SUBPROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

export const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export function stdinMessage(data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([Channel.stdin]), data]);
}

/** The end of standard input (only v5 has it). */
export const STDIN_END = Buffer.from([Channel.close, Channel.stdin]);

export function resizeMessage(columns: number, rows: number): Buffer {
  return Buffer.concat([Buffer.from([Channel.resize]), Buffer.from(JSON.stringify({ Width: columns, Height: rows }))]);
}

/** The exit code that the error channel's Status tells: 0 for Success, the cause ExitCode for a NonZeroExitCode, else 1 with the message. */
export function exitOf(body: string): { code: number; message?: string } {
  let status: Partial<Status>;
  try {
    status = JSON.parse(body) as Partial<Status>;
  } catch {
    // Older servers send plain text.
    return { code: 1, message: body };
  }
  if (status.status === "Success") return { code: 0 };
  const cause = status.details?.causes?.find((candidate) => candidate.reason === "ExitCode");
  const code = Number(cause?.message);
  if (cause && Number.isInteger(code)) return { code };
  return { code: 1, message: status.message ?? "the command failed" };
}
