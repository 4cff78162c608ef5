/** Gives every namespace its ServiceAccount "default". */
import { isStatus } from "../../../../common/kube/status.ts";
import type { Namespace, ServiceAccount } from "../../../../common/kube/types.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";

const NAME = "default";

export const serviceAccountController: ControllerDefinition = {
  name: "serviceaccount-controller",
  concurrency: 4,
  setup({ client, informers }, keys) {
    const namespaces = follow(informers.for<Namespace>(kinds.namespaces), keys);
    const accounts = informers.for<ServiceAccount>(kinds.serviceAccounts);
    accounts.addHandler({
      delete: ({ metadata }) => (metadata.name === NAME ? keys.add(metadata.namespace ?? "") : undefined),
    });
    return {
      async reconcile(namespace) {
        const there = namespaces.get(namespace);
        if (!there || there.metadata.deletionTimestamp !== undefined || there.status?.phase === "Terminating") return;
        if (accounts.get(`${namespace}/${NAME}`)) return;
        const { group, version, resource } = kinds.serviceAccounts;
        try {
          await client.create(
            { group, version, resource, namespace, name: NAME },
            { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: NAME, namespace } },
          );
        } catch (error) {
          // Forbidden: the namespace began to go away in the meantime.
          if (!isStatus(error, "AlreadyExists", "Forbidden", "NotFound")) throw error;
        }
      },
    };
  },
};
