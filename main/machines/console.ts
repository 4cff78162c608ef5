/** A growing file's lines: the last ones, then new ones as they come. */
import { open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";

const LOOK_MILLIS = 250;
const TAIL_BYTES = 1024 * 1024;

/** An absent file has no lines (yet). Ends after the last lines, or with the signal when it follows. */
export async function* followFile(
  file: string,
  options: { lines: number; follow: boolean; signal?: AbortSignal },
): AsyncGenerator<string, void, void> {
  const { lines, follow, signal } = options;
  const decoder = new StringDecoder("utf8");
  const first = await readFrom(file, -TAIL_BYTES);
  let position = first.end;
  const parts = decoder.write(first.bytes).split(/\r?\n/);
  let rest = parts.pop() ?? "";
  yield* lines === 0 ? [] : parts.slice(-lines);
  for (;;) {
    if (!follow || signal?.aborted) break;
    await waited(LOOK_MILLIS, signal);
    const next = await readFrom(file, position);
    position = next.end;
    const fresh = (rest + decoder.write(next.bytes)).split(/\r?\n/);
    rest = fresh.pop() ?? "";
    yield* fresh;
  }
  if (rest !== "") yield rest;
}

/** Bytes from a position (from the end when negative), and where they end. */
async function readFrom(file: string, from: number): Promise<{ bytes: Buffer; end: number }> {
  let handle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { bytes: Buffer.alloc(0), end: 0 };
    throw error;
  }
  try {
    const { size } = await handle.stat();
    // A file that has shrunk was begun anew.
    const start = from < 0 ? Math.max(0, size + from) : from > size ? 0 : from;
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    return { bytes: buffer.subarray(0, bytesRead), end: start + bytesRead };
  } finally {
    await handle.close();
  }
}

function waited(millis: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, millis);
    signal?.addEventListener("abort", done);
  });
}
