/** Lines of a stream as they come. readline would do, but it throws its input's errors at nobody in particular. */
import { StringDecoder } from "node:string_decoder";
import type { Readable } from "node:stream";

/** Calls back for each whole line, and for an unfinished last one. The stream's errors stay the stream's. */
export function onLines(stream: Readable, listener: (line: string) => void): void {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  stream.on("data", (bytes: Buffer) => {
    const parts = (rest + decoder.write(bytes)).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) listener(line.endsWith("\r") ? line.slice(0, -1) : line);
  });
  stream.once("end", () => {
    if (rest !== "") listener(rest);
  });
}
