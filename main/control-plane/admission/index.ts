/** Admission: what is changed or refused on the way in, by plug-ins in the documented order. */
import type { RbacAuthorizer } from "../auth/rbac/authorizer.ts";
import type { Reader } from "../resources/reader.ts";
import { defaultIngressClass, defaultStorageClass } from "./defaults.ts";
import { rbacEscalation } from "./escalation.ts";
import { limitRanger } from "./limit-ranger.ts";
import { namespaceLifecycle } from "./namespaces.ts";
import { nodeRestriction, taintNodesByCondition } from "./nodes.ts";
import { defaultTolerationSeconds, priority } from "./pods.ts";
import { serviceAccounts } from "./service-accounts.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

export type { AdmissionPlugin, AdmissionRequest, Operation } from "./types.ts";

export interface ChainOptions {
  reader: Reader;
  /** For the escalation check of roles and bindings. */
  rbac: RbacAuthorizer;
}

/** The built-in plug-ins. The order is the API server's own. */
export function builtinChain({ reader, rbac }: ChainOptions): AdmissionPlugin[] {
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
