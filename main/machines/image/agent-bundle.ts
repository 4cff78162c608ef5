/** The agent as one CommonJS file: bundled from its source in a checkout, or the file that a build has put beside the program. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { execFile } from "node:child_process";
import { mkdir, readFile, readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { MachineError } from "../failure.ts";

export interface AgentBundle {
  code: Buffer;
  /** Of the content: another agent needs another template. */
  hash: string;
}

/** The folder that holds package.json, from wherever this file is bundled to. */
export function projectFolder(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, "package.json")) && path.dirname(folder) !== folder)
    folder = path.dirname(folder);
  return folder;
}

const BUNDLE_MILLIS = 120_000;
/** Of the sources' names, sizes and times: the bundle's cheap name. */
const SOURCES = ["vm-images/agent", "common", "package-lock.json", "main/machines/image/bundle-agent.ts"];

export async function agentBundle(): Promise<AgentBundle> {
  const folder = projectFolder();
  const entry = path.join(folder, "vm-images/agent/main.ts");
  const built = path.join(folder, "out/agent/agent.cjs");
  const code = existsSync(entry) ? await bundled(folder, entry) : existsSync(built) ? await readFile(built) : undefined;
  if (!code)
    throw new MachineError({
      code: "IMAGE_BROKEN",
      message: "the agent's program is missing from this installation",
      advice: "Install Drydock again.",
    });
  return { code, hash: createHash("sha256").update(code).digest("hex").slice(0, 16) };
}

/** Bundles once for each state of the sources; later calls, other processes too, find the result. */
async function bundled(folder: string, entry: string): Promise<Buffer> {
  const cache = path.join(folder, "node_modules/.cache/drydock");
  const output = path.join(cache, `agent-${await stampOf(folder)}.cjs`);
  if (existsSync(output)) return readFile(output);
  await mkdir(cache, { recursive: true });
  const script = path.join(folder, "main/machines/image/bundle-agent.ts");
  try {
    await promisify(execFile)(process.execPath, [script, entry, output], {
      timeout: BUNDLE_MILLIS,
      env: { ...process.env, ELECTRON_RUN_AS_NODE: "1" },
    });
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    throw new MachineError(
      {
        code: "IMAGE_BROKEN",
        message: "the agent's program could not be bundled from its source",
        command: `node ${script} ${entry}`,
        lastLines: (stderr || message).trimEnd().split("\n").slice(-10),
        advice: "Read the last lines: they name the source file.",
      },
      error,
    );
  }
  for (const name of await readdir(cache)) {
    if (/^agent-.*\.cjs/.test(name) && path.join(cache, name) !== output)
      await rm(path.join(cache, name), { force: true });
  }
  return readFile(output);
}

async function stampOf(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const source of SOURCES) {
    const root = path.join(folder, source);
    const names = (await stat(root)).isDirectory() ? await readdir(root, { recursive: true }) : [""];
    for (const name of names.toSorted()) {
      if (name !== "" && (!name.endsWith(".ts") || name.endsWith(".test.ts"))) continue;
      const { size, mtimeMs } = await stat(path.join(root, name));
      hash.update(`${source}/${name} ${size} ${mtimeMs}\n`);
    }
  }
  return hash.digest("hex").slice(0, 16);
}
