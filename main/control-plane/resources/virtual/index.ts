/** The handlers of everything that is POSTed and answered rather than stored. */
import type { Client } from "../../../../common/kube/client.ts";
import type { Auth } from "../../auth/index.ts";
import type { Reader } from "../reader.ts";
import { evictionHandler } from "./eviction.ts";
import type { VirtualHandlers } from "./handler.ts";
import { success } from "./handler.ts";
import { reviewHandlers } from "./reviews.ts";
import { tokenRequestHandler } from "./token-requests.ts";

export type { VirtualHandler, VirtualHandlers, VirtualRequest } from "./handler.ts";

export interface VirtualOptions {
  reader: Reader;
  auth: Auth;
  /** Does what the handlers decide, with every right. */
  client: Client;
  /** The same, where admission is not asked. */
  unadmitted?: Client;
}

/** Keys: group "/" resource, or group "/" resource "/" subresource; "" is the core group. */
export function virtualHandlers({ reader, auth, client, unadmitted }: VirtualOptions): VirtualHandlers {
  const handlers = reviewHandlers(auth);
  handlers.set("/serviceaccounts/token", tokenRequestHandler(reader, auth.tokens));
  handlers.set("/pods/eviction", evictionHandler(client, undefined, unadmitted));
  // The old door of the scheduler: the same as the binding subresource of the Pod it names.
  handlers.set("/bindings", async (binding, { namespace = "", dryRun }) => {
    const name = binding.metadata.name ?? "";
    const ref = { group: "", version: "v1", resource: "pods", namespace, name, subresource: "binding" };
    await client.create(ref, binding, { dryRun });
    return success();
  });
  return handlers;
}
