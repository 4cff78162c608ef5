/**
 * Conversion by webhook: objects of one version become objects of another as the definition's own webhook says
 * (apiextensions.k8s.io ConversionReview). What was converted is remembered for as long as the stored bytes are, so
 * that an object is asked about once a version.
 */
import { copyOf } from "../../../common/kube/copy.ts";
import { randomUUID } from "node:crypto";
import { applySchemaDefaults, pruneUnknown } from "../../../common/kube/facts/custom.ts";
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { apiVersionOf } from "../../../common/kube/object.ts";
import { StatusError } from "../../../common/kube/status.ts";
import { decodeShared } from "../api/stored.ts";
import type { Dialler } from "../outbound/services.ts";
import { postJson } from "../outbound/webhook-client.ts";
import type { AsyncConversion } from "../resources/definition.ts";
import type { KeyValue } from "../store/store.ts";
import type { ConversionWebhook } from "./types.ts";

export interface ConversionOptions {
  webhook: ConversionWebhook;
  group: string;
  kind: string;
  /** The version shown, and its schema. */
  version: string;
  schema: StructuralSchema;
  storageVersion: string;
  dialler: Dialler;
}

const TIMEOUT_SECONDS = 30;
/** Objects a review asks about at once. */
const AT_ONCE = 200;
const REVIEWS = ["v1", "v1beta1"];

interface Response {
  uid?: string;
  convertedObjects?: unknown[];
  result?: { status?: string; message?: string };
}

export class WebhookConversion implements AsyncConversion {
  readonly #options: ConversionOptions;
  readonly #shown: string;
  readonly #stored: string;
  readonly #converted = new WeakMap<Uint8Array, KubeObject>();

  constructor(options: ConversionOptions) {
    this.#options = options;
    this.#shown = apiVersionOf({ group: options.group, version: options.version });
    this.#stored = apiVersionOf({ group: options.group, version: options.storageVersion });
  }

  async prepare(items: readonly KeyValue[]): Promise<void> {
    const waiting = items.filter(
      (item) => !this.#converted.has(item.value) && decodeShared(item).apiVersion !== this.#shown,
    );
    for (let at = 0; at < waiting.length; at += AT_ONCE) {
      const some = waiting.slice(at, at + AT_ONCE);
      const made = await this.#convert(some.map(decodeShared), this.#shown);
      some.forEach((item, index) => {
        const object = made[index] as KubeObject;
        pruneUnknown(object, this.#options.schema, [], true);
        this.#converted.set(item.value, object);
      });
    }
  }

  fromStored(item: KeyValue, object: KubeObject): KubeObject {
    if (object.apiVersion === this.#shown) return this.#defaulted(object);
    const converted = this.#converted.get(item.value);
    if (!converted) throw new Error(`${item.key} was read before it was converted to ${this.#shown}`);
    return this.#defaulted({ ...converted, metadata: ownMetadata(object, converted) });
  }

  async toStored(object: KubeObject): Promise<KubeObject> {
    return this.convert(object, this.#stored);
  }

  async convert(object: KubeObject, apiVersion: string): Promise<KubeObject> {
    if (object.apiVersion === apiVersion) return object;
    const [converted] = await this.#convert([object], apiVersion);
    return { ...(converted as KubeObject), metadata: ownMetadata(object, converted as KubeObject) };
  }

  #defaulted(object: KubeObject): KubeObject {
    const copy = copyOf(object);
    applySchemaDefaults(copy, this.#options.schema);
    return copy;
  }

  /** As many as were given, in their order. Throws InternalError. */
  async #convert(objects: readonly KubeObject[], desired: string): Promise<KubeObject[]> {
    const { webhook, kind, dialler } = this.#options;
    const [first] = objects;
    const [version = "", group = ""] = (first?.apiVersion ?? "").split("/").toReversed();
    const fail = (why: string, cause?: unknown): StatusError =>
      new StatusError(
        "InternalError",
        `conversion webhook for ${group}/${version}, Kind=${kind} ${why}`,
        ...(cause instanceof StatusError ? [cause.status.details] : []),
      );
    const review = webhook.conversionReviewVersions?.find((one) => REVIEWS.includes(one)) ?? "v1";
    const uid = randomUUID();
    const apiVersion = `apiextensions.k8s.io/${review}`;
    const body = { kind: "ConversionReview", apiVersion, request: { uid, desiredAPIVersion: desired, objects } };
    let answer: { apiVersion?: string; kind?: string; response?: Response };
    try {
      answer = (await postJson(webhook.clientConfig ?? {}, body, TIMEOUT_SECONDS, dialler)) as typeof answer;
    } catch (error) {
      const words = error instanceof Error ? error.message.replace("failed to call webhook: ", "") : String(error);
      throw fail(`failed: ${words}`, error);
    }
    const { response } = answer ?? {};
    if (answer?.kind !== "ConversionReview" || answer.apiVersion !== apiVersion) {
      const got = `${answer?.apiVersion ?? ""}, Kind=${answer?.kind ?? ""}`;
      throw fail(`failed: expected webhook response of ${apiVersion}, Kind=ConversionReview, got ${got}`);
    }
    if (!response) throw fail("failed: no response provided");
    if (response.uid !== uid)
      throw fail(`failed: expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? "")}`);
    const { status = "", message } = response.result ?? {};
    if (status !== "Success")
      throw fail(`failed: ${message || `response.result.status was '${status}', not 'Success'`}`);
    const made = response.convertedObjects ?? [];
    if (made.length !== objects.length) throw fail(`returned ${made.length} objects, expected ${objects.length}`);
    return made.map((one, at) => {
      const why = wrongWith(one, objects[at] as KubeObject, desired);
      if (why) throw fail(`returned invalid converted object at index ${at}: ${why}`);
      return one as KubeObject;
    });
  }
}

function wrongWith(made: unknown, given: KubeObject, desired: string): string | undefined {
  const { apiVersion = "", kind = "", metadata } = (made ?? {}) as Partial<KubeObject>;
  if (apiVersion !== desired) return `invalid groupVersion (expected ${desired}, received ${apiVersion})`;
  if (kind !== given.kind) return `incorrect kind (expected ${given.kind}, received ${kind})`;
  if (typeof metadata !== "object" || metadata === null) return "missing metadata";
  for (const field of ["name", "namespace", "uid"] as const)
    if ((metadata[field] ?? "") !== (given.metadata[field] ?? "")) return `metadata.${field} must not be changed`;
  return undefined;
}

/** A webhook may change labels and annotations; the rest of metadata stays as it was. */
function ownMetadata({ metadata }: KubeObject, converted: KubeObject): KubeObject["metadata"] {
  const { labels: _l, annotations: _a, ...kept } = metadata;
  const { labels, annotations } = converted.metadata;
  return { ...kept, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
}
