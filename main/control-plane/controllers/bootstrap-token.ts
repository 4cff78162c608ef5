/** Removes bootstrap tokens whose time has run out. */
import { isStatus } from "../../../common/kube/status.ts";
import type { Secret } from "../../../common/kube/types.ts";
import { follow } from "./kernel/controller.ts";
import type { ControllerDefinition } from "./kernel/controller.ts";
import { kinds, splitKey } from "./kernel/kinds.ts";

/** Unix milliseconds at which the token ends; undefined when it never does, or says so unreadably. */
export function expirationOf(secret: Secret): number | undefined {
  const encoded = secret.data?.expiration;
  if (encoded === undefined) return undefined;
  const time = Date.parse(atob(encoded));
  return Number.isNaN(time) ? undefined : time;
}

export const bootstrapTokenController: ControllerDefinition = {
  name: "token-cleaner",
  concurrency: 1,
  setup({ client, informers, clock }, keys) {
    const secrets = follow(
      informers.for<Secret>(kinds.secrets, {
        namespace: "kube-system",
        fieldSelector: "type=bootstrap.kubernetes.io/token",
      }),
      keys,
    );
    return {
      async reconcile(key) {
        const secret = secrets.get(key);
        const ends = secret && expirationOf(secret);
        if (!secret || ends === undefined) return undefined;
        const left = ends - clock.now();
        if (left > 0) return { again: left };
        const { group, version, resource } = kinds.secrets;
        const { namespace = "", name } = splitKey(key);
        try {
          await client.delete(
            { group, version, resource, namespace, name },
            { preconditions: { uid: secret.metadata.uid ?? "" } },
          );
        } catch (error) {
          if (!isStatus(error, "NotFound")) throw error;
        }
        return undefined;
      },
    };
  },
};
