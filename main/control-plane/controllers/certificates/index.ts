/** Certificate signing requests: approves those of kubelets, signs what is approved, clears away what is old. */
import { X509Certificate } from "node:crypto";
import { timestamp } from "../../../../common/kube/clock.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { CertificateSigningRequest, Node } from "../../../../common/kube/types.ts";
import { signCertificateRequest } from "../../pki/index.ts";
import { readCertificateRequest } from "../../pki/requests.ts";
import { commit } from "../kernel/committer.ts";
import { follow, text } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Condition } from "../kernel/pods.ts";
import { CLIENT, CLIENT_KUBELET, KUBELET_SERVING, decideApproval, unfit } from "./approve.ts";

const SIGNERS = [CLIENT, CLIENT_KUBELET, KUBELET_SERVING];
const HOUR = 3_600_000;
/** How long finished and unanswered requests stay. */
const KEEP_DECIDED_MILLIS = HOUR;
const KEEP_PENDING_MILLIS = 24 * HOUR;
const WAIT_MILLIS = 1000;
/** A request that waits for its Node this long is left to people. */
const WAIT_AT_MOST_MILLIS = 600_000;

type Request = CertificateSigningRequest & { status?: { conditions?: Condition[]; certificate?: string } };

const has = (request: Request, type: string): boolean =>
  (request.status?.conditions ?? []).some((condition) => condition.type === type);

/** Milliseconds until the request may be cleared away; 0 or less: now. */
export function untilCleared(request: Request, nowMillis: number): number {
  const conditions = (request.status?.conditions ?? []) as Condition[];
  const decided = conditions
    .map(({ lastUpdateTime }) => Date.parse(lastUpdateTime ?? ""))
    .filter((time) => !Number.isNaN(time));
  const since =
    conditions.length > 0 && decided.length > 0
      ? Math.max(...decided)
      : Date.parse(request.metadata.creationTimestamp ?? "");
  const kept = since + (conditions.length > 0 ? KEEP_DECIDED_MILLIS : KEEP_PENDING_MILLIS);
  return Math.min(kept, expiryOf(request)) - nowMillis;
}

/** When the issued certificate ends, in Unix milliseconds; nothing that cannot be read ends. */
function expiryOf(request: Request): number {
  if (!request.status?.certificate) return Number.POSITIVE_INFINITY;
  try {
    return Date.parse(new X509Certificate(atob(request.status.certificate)).validTo);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

export const certificateController: ControllerDefinition = {
  name: "certificate-controller",
  concurrency: 4,
  setup({ client, informers, clock, ca, log }, keys) {
    const requests = follow(
      informers.for<CertificateSigningRequest>(kinds.certificateSigningRequests),
      keys,
    ) as unknown as { get(key: string): Request | undefined };
    const nodes = informers.for<Node>(kinds.nodes);
    /** Base64 of PEM, as the API carries it. */
    const pemOf = (request: Request): string =>
      new TextDecoder().decode(Uint8Array.from(atob(request.spec.request), (char) => char.charCodeAt(0)));

    const judge = async (request: Request): Promise<Request | { again: number } | undefined> => {
      const decision = decideApproval(request.spec, await readCertificateRequest(pemOf(request)), (name) =>
        nodes.get(name),
      );
      if ("wait" in decision) {
        const waited = clock.now() - Date.parse(request.metadata.creationTimestamp ?? "");
        return waited < WAIT_AT_MOST_MILLIS ? { again: WAIT_MILLIS } : undefined;
      }
      if (!decision.approve) return undefined;
      const time = timestamp(clock.now());
      const condition = {
        type: "Approved",
        status: "True",
        reason: "AutoApproved",
        message: decision.message,
        lastUpdateTime: time,
        lastTransitionTime: time,
      };
      return commit<Request>(
        client,
        kinds.certificateSigningRequests,
        request,
        { ...request, status: { ...request.status, conditions: [condition] } } as Request,
        { subresource: "approval" },
      );
    };

    const sign = async (request: Request): Promise<void> => {
      const conditions = request.status?.conditions ?? [];
      let status: Request["status"];
      try {
        const pem = pemOf(request);
        const why = unfit(request.spec, await readCertificateRequest(pem));
        if (why !== undefined) throw new Error(why);
        const certificate = await signCertificateRequest(ca, pem, {
          usages: request.spec.usages ?? [],
          expirationSeconds: request.spec.expirationSeconds,
        });
        status = { ...request.status, certificate: btoa(certificate) };
      } catch (error) {
        const time = timestamp(clock.now());
        const failed = {
          type: "Failed",
          status: "True",
          reason: "SignerValidationFailure",
          message: text(error),
          lastUpdateTime: time,
          lastTransitionTime: time,
        };
        status = { ...request.status, conditions: [...conditions, failed] } as Request["status"];
        log(`certificate-controller: ${request.metadata.name}: ${text(error)}`);
      }
      await commit<Request>(client, kinds.certificateSigningRequests, request, { ...request, status } as Request);
    };

    return {
      async reconcile(key) {
        let request = requests.get(key);
        if (!request) return undefined;
        const wait = untilCleared(request, clock.now());
        if (wait <= 0) {
          const { group, version, resource } = kinds.certificateSigningRequests;
          await client
            .delete({ group, version, resource, name: key }, { preconditions: { uid: request.metadata.uid ?? "" } })
            .catch((error: unknown) => {
              if (!isStatus(error, "NotFound")) throw error;
            });
          return undefined;
        }
        if (
          !SIGNERS.includes(request.spec.signerName) ||
          request.status?.certificate ||
          has(request, "Denied") ||
          has(request, "Failed")
        )
          return { again: wait };
        if (!has(request, "Approved")) {
          const judged = await judge(request).catch((error: unknown) => {
            if (isStatus(error, "Conflict")) throw error;
            log(`certificate-controller: ${key}: ${text(error)}`);
            return undefined;
          });
          if (judged === undefined) return { again: wait };
          if ("again" in judged) return { again: judged.again };
          request = judged as Request;
        }
        await sign(request);
        return { again: wait };
      },
    };
  },
};
