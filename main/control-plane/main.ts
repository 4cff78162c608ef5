/** The program of the control plane's process, which the engine starts for each cluster. */
import { runControlPlane } from "./run.ts";

process.exit(await runControlPlane(process.argv.slice(2)));
