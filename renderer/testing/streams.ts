/** Pretended logs and terminals. */

const PHRASES = [
  "GET / 200 12 ms",
  "GET /healthz 200 1 ms",
  "cache hit for session 7f3a",
  "warning: slow upstream, 412 ms",
  "POST /cart 201 33 ms",
  "connected to redis at cache:6379",
];

/** Asked anew each time round a loop. */
export function ended(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}

/** A burst of lines, then (when following) one every second. Lines carry RFC 3339 times, as the API's do on request. */
export async function* fakeLog(name: string, follow: boolean, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const stamp = name.includes("timestamps=true") || name === "engine";
  const line = (index: number, at: number): string => {
    const text = PHRASES[(index * 7 + name.length) % PHRASES.length] ?? "";
    return stamp ? `${new Date(at).toISOString()} ${text}` : text;
  };
  const now = Date.now();
  for (let index = 0; index < 60; index += 1) yield line(index, now - (60 - index) * 1000);
  if (!follow) return;
  for (let index = 60; !ended(signal); index += 1) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 1000);
      signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
    if (!signal?.aborted) yield line(index, Date.now());
  }
}

type TerminalEvent =
  | { type: "opened"; terminal: string }
  | { type: "data"; data: string }
  | { type: "exit"; code: number; message?: string };

/** Echoes what is typed; `exit` or Ctrl+D ends it. */
export async function* fakeTerminal(
  id: string,
  target: { kind: string; node?: string; pod?: string },
  terminals: Map<string, (data: string) => void>,
  signal: AbortSignal | undefined,
): AsyncGenerator<TerminalEvent> {
  const queue: string[] = [];
  let wake = (): void => {};
  terminals.set(id, (data) => {
    queue.push(data);
    wake();
  });
  signal?.addEventListener("abort", () => wake(), { once: true });
  const prompt = `\u001b[36m${target.node ?? target.pod ?? "host"}\u001b[0m:~# `;
  yield { type: "opened", terminal: id };
  yield { type: "data", data: `\u001b[2mDrydock test terminal\u001b[0m\r\n${prompt}` };
  let typed = "";
  try {
    while (!ended(signal)) {
      for (const data of queue.splice(0)) {
        for (const character of data) {
          if (character === "\u0004" || (character === "\r" && typed === "exit"))
            return yield { type: "exit", code: 0 };
          if (character === "\r") {
            yield { type: "data", data: `\r\nyou said: ${typed}\r\n${prompt}` };
            typed = "";
          } else {
            typed += character;
            yield { type: "data", data: character };
          }
        }
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (queue.length > 0 || signal?.aborted) resolve();
      });
    }
  } finally {
    terminals.delete(id);
  }
}
