/** What a container says about its own end: what it wrote to its termination log, or the last of its output where it asks for that. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { isExited } from "./pod.ts";

const MESSAGE_LIMIT = 4096;
const LOG_LIMIT = 2048;
const LOG_LINES = 80;
/** Docker's records are JSON: each is longer than its text. */
const RECORDS_LIMIT = 64 * 1024;

export const LABEL_MESSAGE_POLICY = "io.kubernetes.termination-message-policy";

/** `logFile`: Docker's file of records, one JSON object a line. "" when there is nothing to say. */
export function terminationMessage(container: RuntimeContainer, messageFile: string, logFile: string): string {
  if (!isExited(container)) return "";
  const message = readPart(messageFile, MESSAGE_LIMIT, "start");
  if (message !== "" || container.exitCode === 0) return message;
  if (container.labels[LABEL_MESSAGE_POLICY] !== "FallbackToLogsOnError") return "";
  return lastOutput(readPart(logFile, RECORDS_LIMIT, "end"));
}

/** The last lines of the records' text, at most 80 and 2048 bytes. */
export function lastOutput(records: string): string {
  let text = "";
  for (const line of records.split("\n")) {
    try {
      text += (JSON.parse(line) as { log?: string }).log ?? "";
    } catch {
      // The first record is cut where reading began; the last line is empty.
    }
  }
  const lines = text.split("\n");
  const ends = text.endsWith("\n") ? 1 : 0;
  const kept = lines.slice(-LOG_LINES - ends).join("\n");
  const bytes = Buffer.from(kept);
  return bytes.length <= LOG_LIMIT ? kept : bytes.subarray(bytes.length - LOG_LIMIT).toString();
}

function readPart(path: string, limit: number, from: "start" | "end"): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    // It never came to that, or was removed with an older attempt.
    return "";
  }
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, limit));
    const read = readSync(file, buffer, 0, buffer.length, from === "start" ? 0 : size - buffer.length);
    return buffer.toString("utf8", 0, read);
  } finally {
    closeSync(file);
  }
}
