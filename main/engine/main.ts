/**
 * The engine's process: `drydock engine run`, started detached by whoever needs it first. Says "ready" on
 * standard output when it serves.
 */
import { Engine } from "./engine.ts";
import { LockedError } from "../host/lock.ts";

/** Another engine holds the data folder: not a failure for whoever started this one. */
const ALREADY_RUNNING = 75;

/** Runs an engine to its end; resolves with the exit code. */
export async function runEngine(home?: string): Promise<number> {
  let engine: Engine;
  try {
    engine = await Engine.start(home);
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return ALREADY_RUNNING;
  }
  const stopped = new Promise<boolean>((resolve) => {
    // A signal ends the engine only: its clusters are for the next one to take up.
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => resolve(false));
    void engine.stopRequested.then(resolve);
  });
  process.on("unhandledRejection", (error) => engine.log.error("unhandled rejection", error));
  process.on("uncaughtException", (error) => engine.log.error("uncaught exception", error));
  process.stdout.write("ready\n");
  return (await engine.stop(await stopped)) ? 0 : 1;
}

if (import.meta.main) {
  const code = await runEngine();
  process.exit(code);
}
