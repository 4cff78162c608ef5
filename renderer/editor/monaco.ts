/** Monaco with YAML and the Kubernetes schema, loaded when an editor is first shown; its workers come from our own origin. */
import * as monaco from "monaco-editor/esm/vs/editor/edcore.main.js";
import "monaco-editor/esm/vs/basic-languages/yaml/yaml.contribution.js";
import { configureMonacoYaml, type JSONSchema } from "monaco-yaml";
import schemas from "virtual:kubernetes-schemas";

let ready = false;

/** Files under this name get the Kubernetes schema. */
export const MANIFEST_SUFFIX = ".k8s.yaml";

export function loadMonaco(): typeof monaco {
  if (ready) return monaco;
  ready = true;
  self.MonacoEnvironment = {
    getWorker: () => new Worker(new URL("./editor.worker.ts", import.meta.url), { type: "module" }),
  };
  // monaco-yaml names its worker in the way that Monaco knew before 0.53; since then it wants the worker itself.
  const adapted = { ...monaco, editor: { ...monaco.editor, createWebWorker: createYamlWorker } };
  configureMonacoYaml(adapted as unknown as typeof monaco, {
    enableSchemaRequest: false,
    isKubernetes: true,
    format: { enable: false },
    schemas: [
      {
        uri: "https://kubernetes.io/schema",
        fileMatch: [`**/*${MANIFEST_SUFFIX}`],
        schema: JSON.parse(schemas) as JSONSchema,
      },
    ],
  });
  defineThemes();
  return monaco;
}

/** The first message wakes the worker's script, the second hands it its settings. */
function createYamlWorker<T extends object>(options: { createData?: unknown; host?: Record<string, () => unknown> }) {
  const worker = new Worker(new URL("./yaml.worker.ts", import.meta.url), { type: "module" });
  worker.postMessage("wake", []);
  worker.postMessage(options.createData, []);
  return monaco.editor.createWebWorker<T>({ worker, ...(options.host && { host: options.host }) });
}

function defineThemes(): void {
  monaco.editor.defineTheme("drydock-light", {
    base: "vs",
    inherit: true,
    rules: [
      { token: "type", foreground: "1b5e85" },
      { token: "string", foreground: "9a4220" },
      { token: "number", foreground: "2c6b4c" },
      { token: "comment", foreground: "6b7780", fontStyle: "italic" },
    ],
    colors: {
      "editor.background": "#fdfefe",
      "editorLineNumber.foreground": "#7d8a93",
      "editor.lineHighlightBackground": "#eef3f5",
    },
  });
  monaco.editor.defineTheme("drydock-dark", {
    base: "vs-dark",
    inherit: true,
    rules: [
      { token: "type", foreground: "7fc4e8" },
      { token: "string", foreground: "f0a684" },
      { token: "number", foreground: "8fd6b0" },
      { token: "comment", foreground: "8093a0", fontStyle: "italic" },
    ],
    colors: {
      "editor.background": "#10191f",
      "editorLineNumber.foreground": "#6d7f8a",
      "editor.lineHighlightBackground": "#17232b",
      "editorWidget.background": "#1b2830",
    },
  });
}

export type Monaco = typeof monaco;
