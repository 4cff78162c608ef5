/** A client that writes only while its replica leads: what a frozen leader had in hand does not reach the API any more. */
import type { Client } from "../../../common/kube/client.ts";
import { StatusError } from "../../../common/kube/status.ts";

/** Writes fail with ServiceUnavailable when `confirm` says no; reads always go through. */
export function fenced(client: Client, confirm: () => Promise<boolean>): Client {
  const allowed = async (): Promise<void> => {
    if (!(await confirm())) throw new StatusError("ServiceUnavailable", "this replica does not lead any more");
  };
  return {
    get: (ref, options) => client.get(ref, options),
    list: (gvr, options) => client.list(gvr, options),
    watch: (gvr, options) => client.watch(gvr, options),
    create: async (ref, object, options) => {
      await allowed();
      return client.create(ref, object, options);
    },
    update: async (ref, object, options) => {
      await allowed();
      return client.update(ref, object, options);
    },
    patch: async (ref, type, patch, options) => {
      await allowed();
      return client.patch(ref, type, patch, options);
    },
    delete: async (ref, options) => {
      await allowed();
      return client.delete(ref, options);
    },
  };
}
