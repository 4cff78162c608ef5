/**
 * Build-time plugin: makes one JSON schema of every Kubernetes kind, with its field descriptions, out of
 * the kubernetes-models package, as the module `virtual:kubernetes-schemas` (a string of JSON, since
 * engines parse that faster than an object literal of its size).
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";
import { schemaFromDeclarations, type JsonSchema } from "./declarations.ts";

const ID = "virtual:kubernetes-schemas";

export function kubernetesSchemas(): Plugin {
  return {
    name: "drydock-kubernetes-schemas",
    resolveId: (id) => (id === ID ? `\0${ID}` : undefined),
    load: (id) => (id === `\0${ID}` ? `export default ${JSON.stringify(JSON.stringify(readSchemas()))};` : undefined),
  };
}

/** Groups of the API whose kinds nobody writes by hand. */
const LEFT_OUT = /^(authentication|authorization|internal|flowcontrol)\b|^extensions$/;

export function readSchemas(): JsonSchema {
  const require = createRequire(import.meta.url);
  const models = dirname(require.resolve("kubernetes-models/package.json"));
  const machinery = dirname(require.resolve("@kubernetes-models/apimachinery/package.json"));
  const files = [...declarations(models, LEFT_OUT), ...declarations(machinery, LEFT_OUT)];
  return schemaFromDeclarations(files.map((file) => readFileSync(file, "utf8")));
}

function declarations(root: string, leftOut: RegExp): string[] {
  const found: string[] = [];
  for (const name of readdirSync(root)) {
    if (name.startsWith("_") || name === "node_modules" || leftOut.test(name)) continue;
    const path = join(root, name);
    if (statSync(path).isDirectory()) found.push(...declarations(path, leftOut));
    else if (name.endsWith(".d.ts") && name !== "index.d.ts") found.push(path);
  }
  return found;
}
