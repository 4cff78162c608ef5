/** NamespaceLifecycle: nothing is made in a namespace that is missing or going; some namespaces never go. */
import { StatusError } from "../../../common/kube/status.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { groupResource } from "../resources/reader.ts";
import type { Reader } from "../resources/reader.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

const immortal = new Set(["default", "kube-system", "kube-public"]);

const terminating = (namespace: KubeObject | undefined): boolean =>
  namespace?.metadata.deletionTimestamp !== undefined ||
  (namespace?.["status"] as { phase?: string } | undefined)?.phase === "Terminating";

export function namespaceLifecycle(reader: Reader): AdmissionPlugin {
  async function check(request: AdmissionRequest): Promise<void> {
    const { operation, gvr, namespace, name = "", subresource } = request;
    if (gvr.group === "" && gvr.resource === "namespaces") {
      if (operation === "DELETE" && immortal.has(name)) {
        throw new StatusError(
          "Forbidden",
          `namespaces ${JSON.stringify(name)} is forbidden: this namespace may not be deleted`,
          {
            name,
            kind: "namespaces",
          },
        );
      }
      return;
    }
    if (!namespace || operation === "DELETE" || operation === "CONNECT") return;
    // Asking whether something would be allowed is allowed in any namespace.
    if (gvr.group === "authorization.k8s.io") return;
    let found = reader.get("namespaces", undefined, namespace);
    if (!found || terminating(found)) found = await reader.live("namespaces", undefined, namespace);
    if (!found) {
      throw new StatusError("NotFound", `namespaces ${JSON.stringify(namespace)} not found`, {
        name: namespace,
        kind: "namespaces",
      });
    }
    if (operation !== "CREATE" || subresource || !terminating(found)) return;
    const resource = groupResource(gvr);
    const objectName = name || request.object?.metadata.generateName || "";
    throw new StatusError(
      "Forbidden",
      `${resource} ${JSON.stringify(objectName)} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
      {
        name: objectName,
        ...(gvr.group ? { group: gvr.group } : {}),
        kind: gvr.resource,
        causes: [
          {
            reason: "NamespaceTerminating",
            message: `namespace ${namespace} is being terminated`,
            field: "metadata.namespace",
          },
        ],
      },
    );
  }
  return { name: "NamespaceLifecycle", mutate: check };
}
