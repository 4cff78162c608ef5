/** Admission: what is changed or refused on the way in, by plug-ins in the documented order. */
import type { Client } from "../../../common/kube/client.ts";
import type { RbacAuthorizer } from "../auth/rbac/authorizer.ts";
import type { Reader } from "../resources/reader.ts";
import type { Decide } from "../cel/functions/authorizer.ts";
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from "./certificates.ts";
import { claimResize } from "./claim-resize.ts";
import { defaultIngressClass, defaultStorageClass } from "./defaults.ts";
import { rbacEscalation } from "./escalation.ts";
import { limitRanger } from "./limit-ranger.ts";
import { Matcher } from "./matching.ts";
import type { Served } from "./matching.ts";
import { namespaceLifecycle } from "./namespaces.ts";
import { nodeRestriction, taintNodesByCondition } from "./nodes.ts";
import { defaultTolerationSeconds, priority } from "./pods.ts";
import { podSecurity } from "./pod-security/plugin.ts";
import { mutatingPolicies } from "./policies/mutating.ts";
import { validatingPolicies } from "./policies/validating.ts";
import { storageProtection } from "./protection.ts";
import { resourceQuota } from "./resource-quota.ts";
import { runtimeClass } from "./runtime-class.ts";
import { serviceAccounts } from "./service-accounts.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";
import type { Dial } from "../outbound/services.ts";
import { mutatingWebhooks, validatingWebhooks } from "./webhooks/plugins.ts";

export type { AdmissionPlugin, AdmissionRequest, Operation } from "./types.ts";

export interface ChainOptions {
  reader: Reader;
  /** For the escalation check of roles and bindings. */
  rbac: RbacAuthorizer;
  /** Writes the status of quotas. Asked for when a request is there, not before. */
  client(): Client;
  /** What is served, for matchPolicy Equivalent and for the kinds of policies' parameters. */
  served?: Served;
  /** Behind the `authorizer` of CEL expressions. */
  decide?: Decide;
  /** The way to webhooks that are Services: to their Pods' addresses. */
  dial?: Dial;
}

const noWay: Dial = async (address) => {
  throw new Error(`there is no way to ${address}`);
};

/** The built-in plug-ins. The order is the API server's own. */
export function builtinChain(options: ChainOptions): AdmissionPlugin[] {
  const { reader, rbac, client, served, decide, dial = noWay } = options;
  const matcher = new Matcher(reader, served);
  const webhooks = { reader, matcher, decide, transport: { client, dial } };
  const policies = { reader, matcher, served, client, decide };
  return [
    namespaceLifecycle(reader),
    rbacEscalation(reader, rbac),
    limitRanger(reader),
    serviceAccounts(reader),
    nodeRestriction(reader),
    taintNodesByCondition,
    podSecurity(reader),
    priority(reader),
    defaultTolerationSeconds,
    defaultStorageClass(reader),
    storageProtection,
    claimResize(reader),
    runtimeClass(reader),
    certificateApproval(rbac),
    certificateSigning(rbac),
    certificateSubjectRestriction,
    defaultIngressClass(reader),
    mutatingPolicies(policies),
    mutatingWebhooks(webhooks),
    validatingPolicies(policies),
    validatingWebhooks(webhooks),
    // Last: what it charges for should not be refused by another.
    resourceQuota(reader, client),
  ];
}

/** The mutating phase: before validation, on `request.object` in place. Throws StatusError to refuse. */
export async function admit(chain: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
  await mutateOnce(chain, request);
  if (request.again) await mutateOnce(chain, request);
}

/** Both phases, for what is no write of the registry. Throws StatusError to refuse. */
export async function intercept(chain: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
  const asked = chain.filter(({ intercepts }) => intercepts);
  await admit(asked, request);
  await validateAdmission(asked, request);
}

async function mutateOnce(chain: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
  for (const plugin of chain) {
    const pending = plugin.mutate?.(request);
    if (pending) await pending;
  }
}

/** The validating phase: after the object itself was found valid, before it is stored. */
export async function validateAdmission(chain: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
  for (const plugin of chain) {
    const pending = plugin.validate?.(request);
    if (pending) await pending;
  }
}
