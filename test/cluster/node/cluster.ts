/**
 * The cluster that the node tests share: one that is there already (for trying: DRYDOCK_TEST_CLUSTER names it, DRYDOCK_HOME its data
 * folder), or a small one of their own.
 */
import { entry } from "../../../main/host/paths.ts";
import { kubectlPath } from "../../tools/kubectl.ts";
import { readerOf } from "../tools/reader.ts";
import type { Reader } from "../tools/reader.ts";
import { kubectlFor } from "../tools/kubectl-for.ts";
import type { Kubectl } from "../tools/kubectl-for.ts";
import { Dock, eventually, run } from "../support.ts";
import type { Result } from "../support.ts";

export interface NodeCluster {
  kubeconfig: string;
  kubectl: Kubectl;
  /** For what is asked again and again. */
  reader: Reader;
  /** kubectl that must go well; answers with standard output. */
  ok(args: string[], input?: string): Promise<string>;
  worker: string;
  master: string;
  /** Loads an archive of `docker save` into every node. */
  load(archive: string): Promise<void>;
  dispose(): Promise<void>;
}

export async function nodeCluster(name: string): Promise<NodeCluster> {
  const file = await kubectlPath();
  const there = process.env["DRYDOCK_TEST_CLUSTER"];
  const dock = there === undefined ? await Dock.make() : undefined;
  const drydock = async (...args: string[]): Promise<string> => {
    if (dock) return dock.ok(...args);
    const { code, stdout, stderr } = await run(process.execPath, [entry("cli"), ...args]);
    if (code !== 0) throw new Error(`drydock ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  };
  if (dock) {
    const up = await dock.drydock(["up", name, "--workers", "1"], { millis: 900_000 });
    if (up.code !== 0) {
      await dock.dispose();
      throw new Error(`the cluster did not come up: ${up.stderr}`);
    }
  }
  const cluster = there ?? name;
  const kubeconfig = (await drydock("kubeconfig", cluster)).trim();
  const kubectl = kubectlFor(file, kubeconfig);
  const ok = async (args: string[], input?: string): Promise<string> => {
    const result: Result = await kubectl(args, input);
    if (result.code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
    return result.stdout;
  };
  const role = "node-role.kubernetes.io/control-plane";
  const first = async (selector: string): Promise<string> => {
    const nodes = await ok(["get", "nodes", "-l", selector, "-o", "name"]);
    return (nodes.split("\n")[0] ?? "").replace("node/", "");
  };
  const reader = await readerOf(kubeconfig);
  return {
    kubeconfig,
    kubectl,
    reader,
    ok,
    worker: await first(`!${role}`),
    master: await first(role),
    load: async (archive) => void (await drydock("image", "load", cluster, archive)),
    dispose: async () => {
      reader.close();
      await dock?.dispose();
    },
  };
}

/** Makes a namespace in which Pods can be made. */
export async function makeNamespace(cluster: NodeCluster, name: string): Promise<void> {
  await cluster.ok(["create", "namespace", name]);
  await eventually(
    "the namespace has its ServiceAccount",
    () => cluster.reader.get(`/api/v1/namespaces/${name}/serviceaccounts/default`),
    Boolean,
  );
}
