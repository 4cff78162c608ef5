/**
 * Reads a YAML body without holding up other requests: composing YAML takes about a millisecond a kilobyte, so that
 * anything but a short text is read on a thread of its own. The thread starts with the first such body and ends when
 * none has come for a while.
 */
import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { parseJson, parseYaml } from "../../../../common/kube/codec/json.ts";
import type { Parsed } from "../../../../common/kube/codec/json.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { YamlAnswer } from "./worker.ts";

/** Bytes that are read at once: some five milliseconds at the worst. */
const SHORT = 2048;
const DEADLINE_MILLIS = 30_000;
const IDLE_MILLIS = 10_000;
/** It keeps nothing: what it holds of a body is garbage afterwards. The nodes of 3 MiB of YAML are some 200 MB. */
const LIMITS = { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 512 };

/** Beside this file in the sources, beside the bundle in a build. */
function workerFile(): URL {
  const source = new URL("worker.ts", import.meta.url);
  return existsSync(source) ? source : new URL("yaml-worker.js", import.meta.url);
}

/** Throws BadRequest as parseYaml does, and TooManyRequests for what cannot be read within 30 s. */
export async function readYaml(body: Uint8Array): Promise<Parsed> {
  const json = asJson(body);
  if (json) return json;
  if (body.length <= SHORT) return parseYaml(body);
  thread ??= new YamlThread(() => (thread = undefined));
  const answer = await thread.read(body);
  if ("error" in answer) throw new StatusError("BadRequest", answer.error);
  return { value: parseJson(answer.json, false).value, duplicates: answer.duplicates };
}

/** All JSON is YAML, and what most clients send as such is JSON. */
function asJson(body: Uint8Array): Parsed | undefined {
  if (body[0] !== 0x7b /* { */) return undefined;
  try {
    return parseJson(body);
  } catch {
    // A flow mapping then, or nothing at all, which is said in YAML's words.
    return undefined;
  }
}

let thread: YamlThread | undefined;

interface Waiting {
  resolve(answer: YamlAnswer): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/** Bodies are read one after another, in the order they came. */
class YamlThread {
  readonly #worker = new Worker(workerFile(), { execArgv: [], resourceLimits: LIMITS });
  readonly #waiting = new Map<number, Waiting>();
  readonly #gone: () => void;
  #idle: NodeJS.Timeout | undefined;
  #serial = 0;

  /** `gone`: this thread takes no more. */
  constructor(gone: () => void) {
    this.#gone = gone;
    // A control plane that ends does not wait for it.
    this.#worker.unref();
    this.#worker.on("message", ({ id, answer }: { id: number; answer: YamlAnswer }) => {
      const one = this.#waiting.get(id);
      this.#waiting.delete(id);
      clearTimeout(one?.timer);
      one?.resolve(answer);
      if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.#end(), IDLE_MILLIS).unref();
    });
    this.#worker.on("error", (error) => this.#end(String(error)));
    this.#worker.on("exit", () => this.#end("its thread ended"));
  }

  read(body: Uint8Array): Promise<YamlAnswer> {
    clearTimeout(this.#idle);
    return new Promise((resolve, reject) => {
      const id = (this.#serial += 1);
      const timer = setTimeout(() => this.#end(`it took more than ${DEADLINE_MILLIS / 1000} s`), DEADLINE_MILLIS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#worker.postMessage({ id, body });
    });
  }

  #end(why = ""): void {
    this.#gone();
    clearTimeout(this.#idle);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new StatusError("TooManyRequests", `the YAML of the body was not read: ${why}`));
    }
    this.#waiting.clear();
    void this.#worker.terminate();
  }
}
