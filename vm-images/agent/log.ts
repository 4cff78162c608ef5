/**
 * The agent's own log: lines on stderr (the init system keeps them), and the last ones in memory for
 * the host and for `GET /drydock/logs`.
 */

const KEPT_LINES = 2000;

export class Log {
  readonly #lines: string[] = [];
  readonly #followers = new Set<(line: string) => void>();
  readonly #write: (line: string) => void;
  readonly #startedAt = performance.now();

  constructor(write: (line: string) => void = (line) => void process.stderr.write(`${line}\n`)) {
    this.#write = write;
  }

  /** One line: wall clock, seconds since the agent began, the part that speaks, the message. */
  info(part: string, message: string): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(3);
    const line = `${new Date().toISOString()} +${seconds}s ${part}: ${message}`;
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.splice(0, this.#lines.length - KEPT_LINES);
    this.#write(line);
    for (const follower of this.#followers) follower(line);
  }

  error(part: string, what: string, error: unknown): void {
    this.info(part, `${what}: ${describeError(error)}`);
  }

  last(count: number): string[] {
    return count <= 0 ? [] : this.#lines.slice(-count);
  }

  /** Calls `listener` with each new line; returns the way to stop. */
  follow(listener: (line: string) => void): () => void {
    this.#followers.add(listener);
    return () => this.#followers.delete(listener);
  }
}

/** What an error says in one line, with its cause. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : ` (${describeError(error.cause)})`;
  return `${error.message}${cause}`.replaceAll("\n", " | ");
}
