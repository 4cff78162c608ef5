/** The thread that reads YAML. What it finds goes back as JSON, which the other side reads at a hundred times the speed. */
import { parentPort } from "node:worker_threads";
import { parseYaml } from "../../../../common/kube/codec/json.ts";

export type YamlAnswer = { json: string; duplicates: string[] } | { error: string };

function answer(body: Uint8Array): YamlAnswer {
  try {
    const { value, duplicates } = parseYaml(body);
    // Nothing at all is null, as in Kubernetes.
    return { json: JSON.stringify(value ?? null), duplicates };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

parentPort?.on("message", ({ id, body }: { id: number; body: Uint8Array }) =>
  parentPort?.postMessage({ id, answer: answer(body) }),
);
