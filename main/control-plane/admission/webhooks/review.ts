/** AdmissionReview v1: asking one webhook, and reading what it answered. */
import { randomUUID } from "node:crypto";
import { parseExact } from "../../../../common/kube/codec/exact-integers.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { Status } from "../../../../common/kube/status.ts";
import type { Match } from "../matching.ts";
import { reviewRequest } from "../review.ts";
import type { AdmissionRequest } from "../types.ts";
import { postJson } from "../../outbound/webhook-client.ts";
import type { Dialler } from "../../outbound/services.ts";
import type { Webhook } from "./configurations.ts";

export interface Verdict {
  /** The JSON patch of a mutating webhook. */
  patch?: unknown[];
}

interface Response {
  uid?: string;
  allowed?: boolean;
  status?: Partial<Status>;
  patch?: string;
  patchType?: string;
  warnings?: string[];
  auditAnnotations?: Record<string, string>;
}

const DEFAULT_SECONDS = 10;
const LONGEST_WARNING = 256;

/** The call failed, or its answer is none: failurePolicy decides. */
export class WebhookFailure extends Error {}

/** Throws StatusError when the webhook says no, WebhookFailure when it could not be asked. */
export async function ask(
  webhook: Webhook,
  request: AdmissionRequest,
  match: Match,
  transport: Dialler,
): Promise<Verdict> {
  const uid = randomUUID();
  const shown = (object: KubeObject | undefined): KubeObject | null => (object ? match.convert(object) : null);
  const object = shown(request.object);
  const oldObject = shown(request.old);
  const body = {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: { uid, ...reviewRequest(request, match, object ?? oldObject ?? undefined), object, oldObject },
  };
  let answer: unknown;
  try {
    answer = await postJson(webhook.clientConfig ?? {}, body, webhook.timeoutSeconds ?? DEFAULT_SECONDS, transport);
  } catch (error) {
    throw new WebhookFailure(error instanceof Error ? error.message : String(error), { cause: error });
  }
  const response = read(answer, uid, webhook);
  for (const warning of response.warnings ?? []) {
    if (typeof warning === "string" && warning !== "") request.warn(warning.slice(0, LONGEST_WARNING));
  }
  for (const [key, value] of Object.entries(response.auditAnnotations ?? {})) {
    request.annotate?.(`${webhook.name}/${key}`, String(value));
  }
  if (!response.allowed) throw denied(webhook.name, response.status);
  if (response.patch === undefined) return {};
  return { patch: readPatch(response) };
}

function read(answer: unknown, uid: string, { name }: Webhook): Response {
  const { apiVersion, kind, response } = (answer ?? {}) as { apiVersion?: string; kind?: string; response?: Response };
  const invalid = (why: string): WebhookFailure =>
    new WebhookFailure(`received invalid webhook response: ${why} (webhook ${name})`);
  if (kind !== "AdmissionReview" || apiVersion !== "admission.k8s.io/v1") {
    throw invalid(
      `expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${apiVersion ?? ""}, Kind=${kind ?? ""}`,
    );
  }
  if (typeof response !== "object" || response === null) throw new WebhookFailure("Webhook response was absent");
  if (response.uid !== uid) {
    throw invalid(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? "")}`);
  }
  if (response.patch !== undefined && response.patchType !== "JSONPatch") {
    throw invalid(
      `webhook returned response.patch but ${response.patchType ? `response.patchType was ${JSON.stringify(response.patchType)}` : "not response.patchType"}`,
    );
  }
  if (response.patch === undefined && response.patchType !== undefined) {
    throw invalid("webhook returned response.patchType but not response.patch");
  }
  return response;
}

function readPatch({ patch = "" }: Response): unknown[] {
  try {
    const operations = parseExact(Buffer.from(patch, "base64").toString());
    if (Array.isArray(operations)) return operations;
  } catch (error) {
    throw new WebhookFailure(`the patch is not JSON: ${(error as Error).message}`, { cause: error });
  }
  throw new WebhookFailure("the patch is not a list of operations");
}

function denied(name: string, given: Partial<Status> = {}): StatusError {
  const by = `admission webhook ${JSON.stringify(name)} denied the request`;
  const why = given.message || given.reason;
  const code = given.code !== undefined && given.code >= 400 ? given.code : 400;
  const error = StatusError.from({
    apiVersion: "v1",
    kind: "Status",
    metadata: {},
    status: "Failure",
    message: why ? `${by}: ${why}` : `${by} without explanation`,
    ...(given.details ? { details: given.details } : {}),
    code,
  });
  // A webhook's reason is its own, whatever its code says.
  if (given.reason) error.status.reason = given.reason;
  else delete error.status.reason;
  return error;
}
