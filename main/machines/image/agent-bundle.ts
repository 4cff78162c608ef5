/** The agent as one CommonJS file: bundled from its source in a checkout, or the file that a build has put beside the program. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
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

/** Parts of dockerode that the agent never reaches (ssh and BuildKit sessions) would be most of the bundle. */
const LEFT_OUT = /^(ssh2|@grpc\/grpc-js|@grpc\/proto-loader|protobufjs|cpu-features|bufferutil|utf-8-validate)(\/|$)/;

export async function agentBundle(): Promise<AgentBundle> {
  const folder = projectFolder();
  const entry = path.join(folder, "vm-images/agent/main.ts");
  const built = path.join(folder, "out/agent/agent.cjs");
  const code = existsSync(entry) ? await bundle(entry) : existsSync(built) ? await readFile(built) : undefined;
  if (!code)
    throw new MachineError({
      code: "IMAGE_BROKEN",
      message: "the agent's program is missing from this installation",
      advice: "Install Drydock again.",
    });
  return { code, hash: createHash("sha256").update(code).digest("hex").slice(0, 16) };
}

async function bundle(entry: string): Promise<Buffer> {
  const { rolldown } = await import("rolldown");
  const build = await rolldown({
    input: entry,
    platform: "node",
    logLevel: "silent",
    plugins: [
      {
        name: "left-out",
        resolveId: (source) => (LEFT_OUT.test(source) ? { id: `\0left-out:${source}` } : undefined),
        load: (id) => (id.startsWith("\0left-out:") ? "module.exports = {};" : undefined),
      },
    ],
  });
  try {
    const { output } = await build.generate({ format: "cjs", minify: false, codeSplitting: false, sourcemap: false });
    return Buffer.from(output[0].code);
  } finally {
    await build.close();
  }
}
