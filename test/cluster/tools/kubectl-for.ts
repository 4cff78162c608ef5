/** A kubectl of one cluster. */
import { run } from "../support.ts";
import type { Result } from "../support.ts";

export type Kubectl = (args: string[], input?: string) => Promise<Result>;

/** `millis`: what a command may take. */
export function kubectlFor(file: string, kubeconfig: string, millis = 300_000): Kubectl {
  return (args, input) =>
    run(file, ["--kubeconfig", kubeconfig, ...args], { millis, ...(input === undefined ? {} : { input }) });
}
