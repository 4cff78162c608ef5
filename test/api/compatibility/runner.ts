/** Runs a section's commands as somebody would type them. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { kubectlPath } from "../../tools/kubectl.ts";
import type { KubectlVersion } from "../../tools/kubectl.ts";
import { run } from "../support.ts";
import type { Result, TestServer } from "../support.ts";
import { matches } from "./matching.ts";
import type { Section, Step } from "./section.ts";

const EVENTUALLY_MILLIS = 60_000;

export interface Place {
  folder: string;
  env: Record<string, string>;
}

/** A folder with the section's files, and a kubeconfig whose namespace is the section's own. */
export async function prepare(server: TestServer, version: KubectlVersion, section: Section): Promise<Place> {
  const namespace = namespaceOf(section);
  const folder = path.join(server.folder, namespace);
  await mkdir(path.join(folder, "bin"), { recursive: true });
  await symlink(await kubectlPath(version), path.join(folder, "bin", "kubectl"));
  for (const [name, text] of Object.entries(section.files ?? {})) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  const env = {
    PATH: `${path.join(folder, "bin")}:${process.env["PATH"] ?? ""}`,
    HOME: folder,
    KUBECONFIG: path.join(folder, "config"),
    NAMESPACE: namespace,
  };
  const shell = (line: string): Promise<Result> => run("sh", ["-c", line], { env, cwd: folder });
  const made = await shell(
    `cp ${server.kubeconfig} config && kubectl create namespace ${namespace} && kubectl config set-context --current --namespace=${namespace}`,
  );
  if (made.code !== 0) throw new Error(made.stderr);
  for (let tries = 0; (await shell("kubectl get serviceaccount default")).code !== 0; tries++)
    if (tries > 100) throw new Error("no service account within its time");
  return { folder, env };
}

export const namespaceOf = ({ title }: Section): string => title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");

export async function runStep(place: Place, step: Step): Promise<Result> {
  const once = (): Promise<Result> =>
    run("sh", ["-c", step.run], { env: place.env, cwd: place.folder, detached: true });
  const deadline = Date.now() + (step.eventually ? EVENTUALLY_MILLIS : 0);
  for (;;) {
    const result = await once();
    if (problemOf(step, result) === undefined || Date.now() >= deadline) return result;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** What is not as it must be; undefined where all is. */
export function problemOf(step: Step, { code, stdout, stderr }: Result): string | undefined {
  const printed = stdout + stderr;
  if (matches(step.prints ?? "", printed) && code === (step.code ?? 0)) return undefined;
  return `$ ${step.run}\n--- must print (code ${step.code ?? 0})\n${step.prints ?? ""}\n--- printed (code ${code})\n${printed}`;
}
