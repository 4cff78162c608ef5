/** The cluster that the node tests share: one that is there already (DRYDOCK_TEST_KUBECONFIG, for trying), or a small one of their own. */
import { kubectlPath } from "../../tools/kubectl.ts";
import { Dock } from "../support.ts";
import type { Result } from "../support.ts";
import { kubectlFor } from "./run-case.ts";
import type { Kubectl } from "./run-case.ts";

export interface NodeCluster {
  kubeconfig: string;
  kubectl: Kubectl;
  /** The same, which must go well; answers with standard output. */
  ok(args: string[], input?: string): Promise<string>;
  worker: string;
  dispose(): Promise<void>;
}

export async function nodeCluster(name: string): Promise<NodeCluster> {
  const file = await kubectlPath();
  const there = process.env["DRYDOCK_TEST_KUBECONFIG"];
  const dock = there ? undefined : await Dock.make();
  if (dock) {
    const up = await dock.drydock(["up", name, "--workers", "1"], { millis: 900_000 });
    if (up.code !== 0) {
      await dock.dispose();
      throw new Error(`the cluster did not come up: ${up.stderr}`);
    }
  }
  const kubeconfig = there ?? (await (dock as Dock).ok("kubeconfig", name)).trim();
  const kubectl = kubectlFor(file, kubeconfig);
  const ok = async (args: string[], input?: string): Promise<string> => {
    const result: Result = await kubectl(args, input);
    if (result.code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
    return result.stdout;
  };
  const workers = await ok(["get", "nodes", "-l", "!node-role.kubernetes.io/control-plane", "-o", "name"]);
  const worker = (workers.split("\n")[0] ?? "").replace("node/", "");
  return { kubeconfig, kubectl, ok, worker, dispose: async () => dock?.dispose() };
}
