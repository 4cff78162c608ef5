/** `drydock control-plane`: the control plane's own program, in this process, with the same arguments. */
import { runControlPlane } from "../control-plane/run.ts";

/** Runs to the end, then ends the process: the store's thread must not hold it. */
export async function controlPlaneMain(args: string[]): Promise<never> {
  process.exit(await runControlPlane(args));
}
