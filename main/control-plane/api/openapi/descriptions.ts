/**
 * What fields mean, in words, for `kubectl explain` and editors: read from the doc comments of the
 * kubernetes-models package as types are asked for, and from our own words. Where the package is not there, its are missing.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { allKinds } from "../../../../common/kube/facts/index.ts";
import { ownWords } from "./own-words.ts";

export interface TypeDescription {
  description?: string;
  fields: ReadonlyMap<string, string>;
}

const none: TypeDescription = { fields: new Map() };
const cache = new Map<string, TypeDescription>();
const metaPrefix = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/** "io.k8s.api.networking.v1" → "networking.k8s.io/v1": the package's folder. */
const folders = new Map(
  allKinds().map(({ type, group, version }) => [
    type.slice(0, type.lastIndexOf(".")),
    group === "" ? version : `${group}/${version}`,
  ]),
);

let roots: { models: string; machinery: string } | undefined | null = null;

/** The folders of the two packages, or undefined. */
function packageRoots(): { models: string; machinery: string } | undefined {
  if (roots === null) {
    const require = createRequire(import.meta.url);
    try {
      roots = {
        models: dirname(require.resolve("kubernetes-models/package.json")),
        machinery: dirname(require.resolve("@kubernetes-models/apimachinery/package.json")),
      };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "MODULE_NOT_FOUND" && code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
      roots = undefined;
    }
  }
  return roots;
}

function fileOf(id: string): string | undefined {
  const at = packageRoots();
  if (!at) return undefined;
  const name = id.slice(id.lastIndexOf(".") + 1);
  if (id.startsWith(metaPrefix)) return join(at.machinery, "apis/meta/v1", `${name}.d.ts`);
  const folder = folders.get(id.slice(0, id.lastIndexOf(".")));
  return folder === undefined ? undefined : join(at.models, folder, `${name}.d.ts`);
}

/** The text of a doc comment without its stars. */
function words(comment: string): string {
  return comment
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim();
}

/** Reads the interface's own comment and those of its fields from a declaration file. Pure. */
export function parseDeclaration(text: string, name: string): TypeDescription {
  const start = text.indexOf(`export interface I${name} `);
  if (start < 0) return none;
  const end = text.indexOf("\n}", start);
  const fields = new Map<string, string>();
  for (const [, comment = "", field = ""] of text
    .slice(start, end < 0 ? undefined : end)
    .matchAll(/\n {4}\/\*\*\n([\s\S]*?)\*\/\n {4}"([^"]+)"\??:/g)) {
    fields.set(field, words(comment));
  }
  const before = /\/\*\*\n([\s\S]*?)\*\/\s*$/.exec(text.slice(0, start));
  return before ? { description: words(before[1] ?? ""), fields } : { fields };
}

function declared(id: string): TypeDescription {
  const file = fileOf(id);
  if (!file || !existsSync(file)) return none;
  return parseDeclaration(readFileSync(file, "utf8"), id.slice(id.lastIndexOf(".") + 1));
}

/** The words for a type by its id; empty for types nobody has described. */
export function describe(id: string): TypeDescription {
  let found = cache.get(id);
  if (!found) {
    found = ownWords(id) ?? declared(id);
    cache.set(id, found);
  }
  return found;
}
