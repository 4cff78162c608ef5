/** Admission: what is changed or refused on the way in, by plug-ins in the documented order. */
import type { Client } from "../../../common/kube/client.ts";
import type { RbacAuthorizer } from "../auth/rbac/authorizer.ts";
import type { Reader } from "../resources/reader.ts";
import { defaultIngressClass, defaultStorageClass } from "./defaults.ts";
import { rbacEscalation } from "./escalation.ts";
import { limitRanger } from "./limit-ranger.ts";
import { namespaceLifecycle } from "./namespaces.ts";
import { nodeRestriction, taintNodesByCondition } from "./nodes.ts";
import { defaultTolerationSeconds, priority } from "./pods.ts";
import { resourceQuota } from "./resource-quota.ts";
import { serviceAccounts } from "./service-accounts.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

export type { AdmissionPlugin, AdmissionRequest, Operation } from "./types.ts";

export interface ChainOptions {
  reader: Reader;
  /** For the escalation check of roles and bindings. */
  rbac: RbacAuthorizer;
  /** Writes the status of quotas. Asked for when a request is there, not before. */
  client(): Client;
}

/** The built-in plug-ins. The order is the API server's own. */
export function builtinChain({ reader, rbac, client }: ChainOptions): AdmissionPlugin[] {
  return [
    namespaceLifecycle(reader),
    rbacEscalation(reader, rbac),
    limitRanger(reader),
    serviceAccounts(reader),
    nodeRestriction(reader),
    taintNodesByCondition,
    priority(reader),
    defaultTolerationSeconds,
    defaultStorageClass(reader),
    defaultIngressClass(reader),
    // Last: what it charges for should not be refused by another.
    resourceQuota(reader, client),
  ];
}

/** The mutating phase: before validation, on `request.object` in place. Throws StatusError to refuse. */
export async function admit(chain: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
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
