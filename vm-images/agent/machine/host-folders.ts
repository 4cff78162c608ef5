/** Folders of the developer's computer, mounted from the engine's NFS server; again where they are at another port. */
import { mkdir, readFile } from "node:fs/promises";
import type { HostFolder } from "../../../common/node/identity.ts";
import { sleep } from "../command.ts";
import type { RunCommand } from "../command.ts";
import { describeError } from "../log.ts";
import type { Log } from "../log.ts";

const HOST = "10.0.2.2";
const MOUNT_DEADLINE = 30_000;
const RETRY = 3_000;
const TRIES = 10;

/** Whoever waits for the engine waits, and goes on when it is back; a change outside is seen within a second. */
function mountOptions({ port, readOnly }: HostFolder): string {
  const options = ["vers=3", "tcp", "nolock", "hard", "noresvport", "actimeo=1", `port=${port}`, `mountport=${port}`];
  return [...options, "mountproto=tcp", "retry=0", readOnly ? "ro" : "rw"].join(",");
}

/** What is mounted at that path, from the text of /proc/self/mountinfo; undefined: nothing of ours. Pure. */
export function mountedAt(mountinfo: string, path: string): { source: string; port: number } | undefined {
  for (const line of mountinfo.split("\n").toReversed()) {
    const [before = "", after = ""] = line.split(" - ");
    if (before.split(" ")[4] !== path) continue;
    const [type, source = "", options = ""] = after.split(" ");
    if (type !== "nfs") return undefined;
    return { source, port: Number(/(?:^|,)port=(\d+)/.exec(options)?.[1] ?? 0) };
  }
  return undefined;
}

export class HostFolders {
  readonly #run: RunCommand;
  readonly #log: Log;
  #working: Promise<void> = Promise.resolve();

  constructor(run: RunCommand, log: Log) {
    this.#run = run;
    this.#log = log;
  }

  /** Resolves when all are mounted, or it was tried often enough. One after another. */
  mount(folders: readonly HostFolder[]): Promise<void> {
    this.#working = this.#working.then(async () => {
      for (const folder of folders) await this.#again(folder);
    });
    return this.#working;
  }

  async #again(folder: HostFolder): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#mount(folder);
      } catch (error) {
        this.#log.info("folders", `${folder.path}: ${describeError(error)}`);
        if (attempt === TRIES) return;
        await sleep(RETRY);
      }
    }
  }

  async #mount(folder: HostFolder): Promise<void> {
    const source = `${HOST}:${folder.export}`;
    const there = mountedAt(await readFile("/proc/self/mountinfo", "utf8"), folder.path);
    if (there?.source === source && there.port === folder.port) return;
    // Pods that have it keep the old one, which waits for a server that does not come back: they must be started again.
    if (there) await this.#run("umount", ["-l", folder.path]);
    await mkdir(folder.path, { recursive: true });
    await this.#run("modprobe", ["nfsv3"]);
    await this.#run("mount", ["-t", "nfs", "-o", mountOptions(folder), source, folder.path], {
      deadline: MOUNT_DEADLINE,
    });
    this.#log.info("folders", `${folder.path} is a folder of this computer${folder.readOnly ? ", for reading" : ""}`);
  }
}
