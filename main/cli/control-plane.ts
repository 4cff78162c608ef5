/** `drydock control-plane`: runs the control plane's own program in place of this one, with the same arguments. */
import { spawn } from "node:child_process";
import { entry, nodeRuntime } from "../host/paths.ts";

/** Resolves when it has ended; passes on its exit code and our signals. */
export async function controlPlaneMain(args: string[]): Promise<void> {
  const { command, environment } = nodeRuntime();
  const child = spawn(command, [entry("control-plane"), ...args], {
    stdio: "inherit",
    env: { ...process.env, ...environment },
  });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, pass);
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
