/** What a terminal or a command has said and nobody has read yet. */

export type TerminalEvent =
  | { type: "opened"; terminal: string }
  | { type: "data"; data: string }
  | { type: "output"; stream: "stdout" | "stderr"; base64: string }
  | { type: "exit"; code: number; message?: string };

export interface Sink {
  /** Of a terminal: text. */
  data(data: string): void;
  /** Of a command without one. */
  output(stream: "stdout" | "stderr", bytes: Buffer): void;
  exit(code: number, message?: string): void;
}

const HIGH_WATER = 256 * 1024;

/** Collects output until it is read; pieces that wait are joined, and a full buffer pauses the source. */
export class Output implements Sink {
  source: { pause(): void; resume(): void } | undefined;
  /** Text of a terminal, or bytes of one stream (a character each), in the order they came. */
  private pieces: { stream: "terminal" | "stdout" | "stderr"; text: string }[] = [];
  private size = 0;
  private ending: TerminalEvent | undefined;
  private wake: (() => void) | undefined;
  private paused = false;

  data(data: string): void {
    this.add("terminal", data);
  }

  output(stream: "stdout" | "stderr", bytes: Buffer): void {
    this.add(stream, bytes.toString("latin1"));
  }

  exit(code: number, message?: string): void {
    this.ending ??= { type: "exit", code, ...(message === undefined ? {} : { message }) };
    this.wake?.();
  }

  async *read(): AsyncGenerator<TerminalEvent, void, void> {
    for (;;) {
      const piece = this.pieces.shift();
      if (piece) {
        this.size -= piece.text.length;
        if (this.paused && this.size === 0) {
          this.paused = false;
          this.source?.resume();
        }
        const { stream, text } = piece;
        yield stream === "terminal"
          ? { type: "data", data: text }
          : { type: "output", stream, base64: Buffer.from(text, "latin1").toString("base64") };
      } else if (this.ending) {
        yield this.ending;
        return;
      } else {
        await new Promise<void>((resolve) => (this.wake = resolve));
        this.wake = undefined;
      }
    }
  }

  private add(stream: "terminal" | "stdout" | "stderr", text: string): void {
    const last = this.pieces.at(-1);
    if (last?.stream === stream) last.text += text;
    else this.pieces.push({ stream, text });
    this.size += text.length;
    if (this.size > HIGH_WATER && !this.paused) {
      this.paused = true;
      this.source?.pause();
    }
    this.wake?.();
  }
}
