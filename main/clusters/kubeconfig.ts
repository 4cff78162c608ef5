/**
 * Kubeconfigs: the cluster's own file, and its context in the user's (~/.kube/config or the first file of
 * $KUBECONFIG), where everything else is kept as it is, comments too. A malformed file is refused and
 * left alone.
 */
import { mkdir, readFile, realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { Document, isMap, isSeq, parseDocument } from "yaml";
import type { YAMLSeq } from "yaml";
import { writeFileAtomically } from "./cluster-file.ts";
import { fail } from "./failure.ts";
import type { Credentials } from "./kube-api.ts";

/** Of cluster, user and context alike. */
export function contextName(cluster: string): string {
  return `drydock-${cluster}`;
}

/** The user's own file: the first of $KUBECONFIG, else ~/.kube/config. */
export function userKubeconfig(environment: NodeJS.ProcessEnv = process.env): string {
  const first = (environment["KUBECONFIG"] ?? "").split(path.delimiter).find((file) => file !== "");
  return first ?? path.join(homedir(), ".kube", "config");
}

interface Entries {
  clusters: { name: string; cluster: Record<string, string> };
  users: { name: string; user: Record<string, string> };
  contexts: { name: string; context: Record<string, string> };
}

function entriesOf(name: string, credentials: Credentials): Entries {
  return {
    clusters: {
      name,
      cluster: { server: credentials.server, "certificate-authority-data": credentials.ca.toString("base64") },
    },
    users: {
      name,
      user: {
        "client-certificate-data": credentials.cert.toString("base64"),
        "client-key-data": credentials.key.toString("base64"),
      },
    },
    contexts: { name, context: { cluster: name, user: name } },
  };
}

/** Writes the cluster's own kubeconfig, 0600, its one context current. */
export async function writeKubeconfig(file: string, cluster: string, credentials: Credentials): Promise<void> {
  await writeFileAtomically(file, mergedInto("", contextName(cluster), credentials, true), 0o600);
}

/** Puts the cluster's context into the user's file and makes it current; answers with the file. */
export async function mergeKubeconfig(
  cluster: string,
  credentials: Credentials,
  file = userKubeconfig(),
): Promise<string> {
  const name = contextName(cluster);
  const { target, content } = await readUser(file);
  let merged: string;
  try {
    merged = mergedInto(content, name, credentials, true);
  } catch (error) {
    throw malformed(file, error);
  }
  await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
  await writeFileAtomically(target, merged, 0o600);
  return file;
}

/** Takes the cluster's context out again, if it is there and leads to this server. */
export async function unmergeKubeconfig(cluster: string, server: string, file = userKubeconfig()): Promise<void> {
  const { target, content } = await readUser(file);
  const without = removedFrom(content, contextName(cluster), server);
  if (without !== undefined && without !== content) await writeFileAtomically(target, without, 0o600);
}

/** The text of a kubeconfig with our entries added or replaced. Throws when the text is not a kubeconfig. */
export function mergedInto(content: string, name: string, credentials: Credentials, makeCurrent: boolean): string {
  const document = parsed(content);
  const entries = entriesOf(name, credentials);
  for (const key of ["clusters", "users", "contexts"] as const) {
    const list = listAt(document, key);
    const index = indexOf(list, name);
    const entry = document.createNode(entries[key]);
    if (index < 0) list.add(entry);
    else list.set(index, entry);
  }
  if (makeCurrent) document.set("current-context", name);
  return document.toString({ lineWidth: 0 });
}

/** The text without our entries; undefined when it is no kubeconfig or the name leads elsewhere. */
export function removedFrom(content: string, name: string, server: string): string | undefined {
  let document: Document;
  try {
    document = parsed(content);
  } catch {
    // Not ours to judge here: what cannot be read is left alone.
    return undefined;
  }
  const clusters = document.get("clusters");
  if (!isSeq(clusters)) return undefined;
  const index = indexOf(clusters, name);
  if (index < 0 || document.getIn(["clusters", index, "cluster", "server"]) !== server) return undefined;
  for (const key of ["clusters", "users", "contexts"]) {
    const list = document.get(key);
    if (!isSeq(list)) continue;
    const position = indexOf(list, name);
    if (position >= 0) list.delete(position);
  }
  if (document.get("current-context") === name) document.set("current-context", "");
  return document.toString({ lineWidth: 0 });
}

function parsed(content: string): Document {
  if (content.trim() === "") {
    return new Document({
      apiVersion: "v1",
      kind: "Config",
      clusters: [],
      users: [],
      contexts: [],
      "current-context": "",
    });
  }
  const document = parseDocument(content);
  const error = document.errors[0];
  if (error) throw error;
  if (!isMap(document.contents)) throw new Error("it is not a mapping");
  const kind = document.get("kind");
  if (kind !== undefined && kind !== "Config") throw new Error(`its kind is ${String(kind)}, not Config`);
  return document as unknown as Document;
}

/** A list of the document; made when absent or null (as kubectl writes an empty one), refused when something else. */
function listAt(document: Document, key: string): YAMLSeq {
  const found = document.get(key);
  if (isSeq(found)) {
    found.flow = false;
    return found;
  }
  if (found !== undefined && found !== null) throw new Error(`its ${key} is not a list`);
  const made = document.createNode([]) as YAMLSeq;
  document.set(key, made);
  return made;
}

function indexOf(list: YAMLSeq, name: string): number {
  return list.items.findIndex((item) => isMap(item) && item.get("name") === name);
}

/** The content, and the file behind a symbolic link, which is what must be replaced. */
async function readUser(file: string): Promise<{ target: string; content: string }> {
  try {
    await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      throw fail("FILE_UNREADABLE", `${file}: ${(error as Error).message}`, { cause: error });
    return { target: file, content: "" };
  }
  const target = await realpath(file);
  return { target, content: await readFile(target, "utf8") };
}

function malformed(file: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  return fail("KUBECONFIG_MALFORMED", `${file} is not a valid kubeconfig: ${message.split("\n")[0]}`, { cause: error });
}
