/** Publishes the cluster's certificate authority to every namespace as the ConfigMap kube-root-ca.crt. */
import { isStatus } from "../../../common/kube/status.ts";
import type { ConfigMap, Namespace } from "../../../common/kube/types.ts";
import { commit } from "./kernel/committer.ts";
import { follow } from "./kernel/controller.ts";
import type { ControllerDefinition } from "./kernel/controller.ts";
import { kinds } from "./kernel/kinds.ts";

const NAME = "kube-root-ca.crt";
const DESCRIPTION =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

export const rootCaController: ControllerDefinition = {
  name: "root-ca-certificate-publisher",
  concurrency: 4,
  setup({ client, informers, ca }, keys) {
    const namespaces = follow(informers.for<Namespace>(kinds.namespaces), keys);
    const published = informers.for<ConfigMap>(kinds.configMaps, { fieldSelector: `metadata.name=${NAME}` });
    follow(published, keys, ({ metadata }) => [metadata.namespace ?? ""]);
    const data = { "ca.crt": ca.certificate };
    const annotations = { "kubernetes.io/description": DESCRIPTION };
    return {
      async reconcile(namespace) {
        const there = namespaces.get(namespace);
        if (!there || there.metadata.deletionTimestamp !== undefined || there.status?.phase === "Terminating") return;
        const old = published.get(`${namespace}/${NAME}`);
        if (old) {
          await commit(client, kinds.configMaps, old, {
            ...old,
            data,
            metadata: { ...old.metadata, annotations: { ...old.metadata.annotations, ...annotations } },
          });
          return;
        }
        const { group, version, resource } = kinds.configMaps;
        try {
          await client.create(
            { group, version, resource, namespace, name: NAME },
            { apiVersion: "v1", kind: "ConfigMap", metadata: { name: NAME, namespace, annotations }, data },
          );
        } catch (error) {
          if (!isStatus(error, "AlreadyExists", "Forbidden", "NotFound")) throw error;
        }
      },
    };
  },
};
