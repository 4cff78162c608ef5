/** The control plane's log: JSON lines on standard error, quiet unless something is wrong (or asked for). */
import { pino } from "pino";
import type { Logger } from "pino";

export type Log = Logger;

export type Level = "debug" | "info" | "warn" | "error" | "silent";

export function createLog(level: Level): Log {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}
