/** Docker tells in the output of a process that it could not begin it. This turns such output into an error. */
import { PassThrough } from "node:stream";
import { ExecStartError } from "./runtime.ts";
import type { ExecStreams } from "./runtime.ts";

const PREFIX = "OCI runtime exec failed:";
/** What shells, too, use for "cannot be executed" and "not found"; so the words must be there as well. */
const CODES = new Set([126, 127, 128]);

/** The same streams; their exit code is rejected with an ExecStartError when there never was a process. */
export function withStartFailure(begun: ExecStreams): ExecStreams {
  const stdout = new PassThrough();
  let words: string | undefined;
  begun.stdout.once("data", (first: Buffer) => {
    if (first.subarray(0, PREFIX.length).toString() !== PREFIX) {
      stdout.write(first);
      begun.stdout.pipe(stdout);
      return;
    }
    words = first.toString();
    begun.stdout.on("data", (more: Buffer) => (words += more.toString()));
  });
  begun.stdout.once("end", () => stdout.end());
  const exitCode = begun.exitCode.then((code) => {
    if (words !== undefined && CODES.has(code)) throw new ExecStartError(words.trim(), code);
    return code;
  });
  // Whoever only reads the output need not look at the exit code.
  exitCode.catch(() => undefined);
  return { ...begun, stdout, exitCode };
}
