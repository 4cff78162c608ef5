/**
 * A real cluster whose engine runs in this very process, so that its switch is at hand: what faults and measurements of nodes
 * need. The command line, kubectl and the nodes' shells work as with any cluster.
 */
import path from "node:path";
import { Engine } from "../../../main/engine/engine.ts";
import type { LearningSwitch } from "../../../main/machines/network/switch.ts";
import type { QemuDriver } from "../../../main/machines/qemu/driver.ts";
import { kubectlPath } from "../../tools/kubectl.ts";
import { kubectlFor } from "../node/run-case.ts";
import type { Kubectl } from "../node/run-case.ts";
import { Dock } from "../support.ts";

const BEGIN = "drydock-begin";
const END = "drydock-end";

export interface Lab {
  readonly name: string;
  readonly dock: Dock;
  readonly engine: Engine;
  readonly network: LearningSwitch;
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  /** The same, which must go well; answers with standard output. */
  ok(args: string[], input?: string): Promise<string>;
  /** What a script prints in a shell of the node ("worker-1"). The script must not read its input. */
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
    const kubectl = kubectlFor(await kubectlPath(), kubeconfig);
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
        // The terminal echoes what is typed: only what comes between the two words is the answer, and neither is typed whole.
        const input = `stty -echo; PS1=; PS2=\necho drydock-"begin"\n${script}\necho drydock-"end"\nexit\n`;
        const { stdout, stderr } = await dock.drydock(["shell", node, "-c", name], { input, millis });
        const text = stdout.replaceAll("\r", "");
        const begin = text.indexOf(`${BEGIN}\n`);
        const end = text.lastIndexOf(END);
        if (begin < 0 || end < begin) throw new Error(`the shell of ${node} did not finish: ${text}${stderr}`);
        return text.slice(begin + BEGIN.length + 1, end);
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Where the process of a node's machine can be found. */
export function machineFolder(lab: Lab, node: string): string {
  return path.join(lab.dock.home, "clusters", lab.name, "nodes", node);
}
