/** Makes the namespaces that every cluster has again, should somebody have deleted one (kube-node-lease may be). */
import { isStatus } from "../../../common/kube/status.ts";
import type { Namespace } from "../../../common/kube/types.ts";
import { systemNamespaces } from "../auth/bootstrap/index.ts";
import type { ControllerDefinition } from "./kernel/controller.ts";
import { kinds } from "./kernel/kinds.ts";

const NAMES = new Set<string>(systemNamespaces);

export const systemNamespacesController: ControllerDefinition = {
  name: "system-namespaces-controller",
  concurrency: 1,
  setup({ client, informers }, keys) {
    const namespaces = informers.for<Namespace>(kinds.namespaces);
    namespaces.addHandler({
      delete: ({ metadata }) => (NAMES.has(metadata.name ?? "") ? keys.add(metadata.name ?? "") : undefined),
    });
    return {
      started: () => NAMES.forEach((name) => keys.add(name)),
      async reconcile(name) {
        if (namespaces.get(name)) return;
        const { group, version, resource } = kinds.namespaces;
        try {
          await client.create(
            { group, version, resource, name },
            { apiVersion: "v1", kind: "Namespace", metadata: { name } },
          );
        } catch (error) {
          if (!isStatus(error, "AlreadyExists")) throw error;
        }
      },
    };
  },
};
