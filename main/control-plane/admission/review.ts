/** The request as webhooks and CEL see it: admission.k8s.io/v1 AdmissionRequest, without its objects. */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Match } from "./matching.ts";
import type { AdmissionRequest } from "./types.ts";

const optionsKinds = { CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions" } as const;

export function userInfoOf({ user }: Pick<AdmissionRequest, "user">): Record<string, unknown> {
  return {
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    groups: user.groups,
    ...(user.extra && Object.keys(user.extra).length > 0 ? { extra: user.extra } : {}),
  };
}

function kindOf(object: KubeObject | undefined, gvr: { group: string; version: string }, kind: string): object {
  const [version = "", group = ""] = (object?.apiVersion ?? "").split("/").toReversed();
  return object?.apiVersion ? { group, version, kind } : { group: gvr.group, version: gvr.version, kind };
}

/** `shown`: the object in the form of the match. */
export function reviewRequest(request: AdmissionRequest, match: Match, shown?: KubeObject): Record<string, unknown> {
  const { gvr, kind, subresource, operation, dryRun, object, old } = request;
  const name = request.name || object?.metadata?.name || "";
  const namespace = gvr.group === "" && gvr.resource === "namespaces" ? name : request.namespace;
  const options =
    operation === "CONNECT"
      ? null
      : {
          apiVersion: "meta.k8s.io/v1",
          kind: optionsKinds[operation],
          ...(dryRun ? { dryRun: ["All"] } : {}),
        };
  return {
    kind: kindOf(shown, match.gvr, match.kind),
    resource: { ...onlyResource(match.gvr) },
    ...(subresource ? { subResource: subresource } : {}),
    requestKind: kindOf(object ?? old, gvr, kind),
    requestResource: { ...onlyResource(gvr) },
    ...(subresource ? { requestSubResource: subresource } : {}),
    ...(name ? { name } : {}),
    ...(namespace ? { namespace } : {}),
    operation,
    userInfo: userInfoOf(request),
    dryRun,
    options,
  };
}

const onlyResource = ({ group, version, resource }: { group: string; version: string; resource: string }): object => ({
  group,
  version,
  resource,
});
