/** MutatingAdmissionWebhook and ValidatingAdmissionWebhook: who is asked, in what order, and what a failure means. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { applyJsonPatch } from "../../../../common/kube/patch/merge.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { Budget } from "../../cel/environment.ts";
import type { Reader } from "../../resources/reader.ts";
import { same } from "../../resources/validation/problems.ts";
import type { Decide } from "../../cel/functions/authorizer.ts";
import { conditions, scopeOf } from "../expressions.ts";
import { forbid } from "../forbid.ts";
import type { Match, Matcher } from "../matching.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../types.ts";
import type { Dialler } from "../../outbound/services.ts";
import { configurations } from "./configurations.ts";
import type { PreparedWebhook } from "./configurations.ts";
import { ask, WebhookFailure } from "./review.ts";
import type { Verdict } from "./review.ts";

export interface WebhookOptions {
  reader: Reader;
  matcher: Matcher;
  transport: Dialler;
  decide: Decide | undefined;
}

const GROUP = "admissionregistration.k8s.io";

/** What could lock everybody out of mending it is nobody's to intercept. */
export const isExempt = ({ gvr }: AdmissionRequest): boolean => gvr.group === GROUP;

/** The form in which the webhook is shown the request; undefined where it is not asked. Throws Forbidden. */
async function concerns(
  { webhook, conditions: list }: PreparedWebhook,
  request: AdmissionRequest,
  { matcher, reader, decide }: WebhookOptions,
): Promise<Match | undefined> {
  const match = matcher.rules(webhook.rules, webhook.matchPolicy, request);
  if (!match || !(await matcher.selects(webhook, request))) return undefined;
  await match.prepare?.(request);
  if (list.length === 0) return match;
  const result = conditions(list, scopeOf(request, match, { reader, decide }), new Budget());
  if (result === "match") return match;
  if (result === "skip" || webhook.failurePolicy === "Ignore") return undefined;
  throw forbid(request, result.error);
}

/** undefined where the webhook failed and may. Throws StatusError. */
async function call(
  prepared: PreparedWebhook,
  request: AdmissionRequest,
  match: Match,
  options: WebhookOptions,
): Promise<Verdict | undefined> {
  const { webhook } = prepared;
  try {
    return await ask(webhook, request, match, options.transport);
  } catch (error) {
    if (!(error instanceof WebhookFailure)) throw error;
    return failed(prepared, request, error);
  }
}

function failed({ webhook }: PreparedWebhook, request: AdmissionRequest, error: Error): undefined {
  if (webhook.failurePolicy === "Ignore") {
    request.annotate?.(`failed-open.webhook.admission.k8s.io/${webhook.name}`, error.message);
    return undefined;
  }
  const message = `failed calling webhook ${JSON.stringify(webhook.name)}: ${error.message}`;
  throw new StatusError("InternalError", `Internal error occurred: ${message}`, {
    causes: [{ reason: "" as never, message }],
  });
}

export function validatingWebhooks(options: WebhookOptions): AdmissionPlugin {
  const current = configurations(options.reader, `validatingwebhookconfigurations.${GROUP}`);
  return {
    name: "ValidatingAdmissionWebhook",
    intercepts: true,
    validate(request) {
      const all = current();
      if (all.length === 0 || isExempt(request)) return undefined;
      return askAll(all, request, options);
    },
  };
}

async function askAll(
  all: readonly PreparedWebhook[],
  request: AdmissionRequest,
  options: WebhookOptions,
): Promise<void> {
  const asked: Promise<Verdict | undefined>[] = [];
  try {
    for (const prepared of all) {
      const match = await concerns(prepared, request, options);
      if (match) asked.push(call(prepared, request, match, options));
    }
  } finally {
    // All are waited for, so that none works on a request that is over; the first that says no is the answer.
    await Promise.allSettled(asked);
  }
  for (const one of asked) await one;
}

/** What a request's mutating webhooks have done so far. */
interface Progress {
  /** Webhooks that were asked in the first round and want to be asked again when others changed the object. */
  again: Map<string, boolean>;
  /** As the last webhook left it. */
  left?: KubeObject;
}

export function mutatingWebhooks(options: WebhookOptions): AdmissionPlugin {
  const current = configurations(options.reader, `mutatingwebhookconfigurations.${GROUP}`);
  const rounds = new WeakMap<AdmissionRequest, Progress>();
  return {
    name: "MutatingAdmissionWebhook",
    intercepts: true,
    mutate(request) {
      const all = current();
      if (all.length === 0 || isExempt(request)) return undefined;
      return round(all, request, rounds, options);
    },
  };
}

async function round(
  all: readonly PreparedWebhook[],
  request: AdmissionRequest,
  rounds: WeakMap<AdmissionRequest, Progress>,
  options: WebhookOptions,
): Promise<void> {
  const before = rounds.get(request);
  const progress: Progress = before ?? { again: new Map() };
  rounds.set(request, progress);
  // Built-in plug-ins that changed it in this round did so after all webhooks had seen it.
  if (before?.left && request.object && !same(before.left, request.object)) {
    for (const id of progress.again.keys()) progress.again.set(id, true);
  }
  for (const [order, prepared] of all.entries()) {
    if (before && progress.again.get(prepared.id) !== true) continue;
    const match = await concerns(prepared, request, options);
    if (!match) continue;
    const verdict = await call(prepared, request, match, options);
    const mutated = verdict?.patch !== undefined && patched(prepared, request, verdict.patch, match);
    request.annotate?.(
      `mutation.webhook.admission.k8s.io/round_${before ? 1 : 0}_index_${order}`,
      JSON.stringify({ configuration: prepared.configuration, webhook: prepared.webhook.name, mutated }),
    );
    if (mutated) {
      for (const id of progress.again.keys()) if (id !== prepared.id) progress.again.set(id, true);
      request.again = true;
    }
    if (prepared.webhook.reinvocationPolicy === "IfNeeded" && !before) progress.again.set(prepared.id, false);
  }
  if (request.object) progress.left = structuredClone(request.object);
}

/** True where the patch changed the object. */
function patched(prepared: PreparedWebhook, request: AdmissionRequest, patch: unknown[], match: Match): boolean {
  if (patch.length === 0) return false;
  const { object, gvr, kind } = request;
  if (!object) {
    failed(prepared, request, new Error("a patch of an object that is being deleted"));
    return false;
  }
  if (match.gvr.version !== gvr.version || match.gvr.group !== gvr.group) {
    failed(prepared, request, new Error(`a patch of ${kind} in another version than it was written in`));
    return false;
  }
  let result: KubeObject;
  try {
    result = applyJsonPatch(structuredClone(object), patch);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    failed(prepared, request, new Error(why));
    return false;
  }
  if (same(result, object)) return false;
  replaceContents(object, result);
  return true;
}

/** Plug-ins change `request.object` in place. */
export function replaceContents(object: KubeObject, by: KubeObject): void {
  for (const key of Object.keys(object)) if (!(key in by)) delete object[key];
  Object.assign(object, by);
}
