/**
 * A real cluster whose engine runs in this very process, so that its switch is at hand: what faults and measurements of nodes
 * need. The command line, kubectl and the nodes' shells work as with any cluster.
 */
import { Engine } from "../../../main/engine/engine.ts";
import type { LearningSwitch } from "../../../main/machines/network/switch.ts";
import type { QemuDriver } from "../../../main/machines/qemu/driver.ts";
import { kubectlPath } from "../../tools/kubectl.ts";
import { kubectlFor } from "./kubectl-for.ts";
import type { Kubectl } from "./kubectl-for.ts";
import { Dock } from "../support.ts";

export interface Lab {
  readonly name: string;
  readonly dock: Dock;
  readonly engine: Engine;
  readonly network: LearningSwitch;
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  /** The same, which must go well; answers with standard output. */
  ok(args: string[], input?: string): Promise<string>;
  /** What a script prints on the node ("worker-1"); throws when it ends with another code than 0. */
  shell(node: string, script: string, millis?: number): Promise<string>;
  dispose(): Promise<void>;
}

export async function openLab(name: string, ...options: string[]): Promise<Lab> {
  const dock = await Dock.make();
  process.env["DRYDOCK_IMAGES"] = dock.images;
  const engine = await Engine.start(dock.home);
  const dispose = async (): Promise<void> => {
    await dock.drydock(["delete", name, "--yes"], { millis: 120_000 });
    await engine.stop(true);
    await dock.dispose();
  };
  try {
    await dock.ok("up", name, ...options);
    const kubeconfig = (await dock.ok("kubeconfig", name)).trim();
    const kubectl = kubectlFor(await kubectlPath(), kubeconfig, 600_000);
    const driver = (await engine.driver("qemu")) as QemuDriver;
    return {
      name,
      dock,
      engine,
      network: driver.network(name),
      kubectl,
      kubeconfig,
      ok: async (args, input) => {
        const result = await kubectl(args, input);
        if (result.code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
        return result.stdout;
      },
      shell: async (node, script, millis = 120_000) => {
        const { code, stdout, stderr } = await dock.drydock(["shell", node, "-c", name, "--", "sh", "-c", script], {
          millis,
        });
        if (code !== 0) throw new Error(`${script} on ${node} ended with ${code}: ${stdout}${stderr}`);
        return stdout;
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
