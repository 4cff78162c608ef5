/** serviceaccounts/token: a token for an account, bound to a Pod, Secret or Node where asked. */
import { parseApiVersion } from "../../../../common/kube/object.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import type { BoundObject, ServiceAccountTokens } from "../../auth/authentication/service-account-tokens.ts";
import { invalidError } from "../invalid.ts";
import type { Reader } from "../reader.ts";
import { Problems } from "../validation/problems.ts";
import type { VirtualHandler } from "./handler.ts";

interface Spec {
  audiences?: string[];
  expirationSeconds?: number;
  boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string };
}

const group = "authentication.k8s.io";
const plurals = { Pod: "pods", Secret: "secrets", Node: "nodes" } as const;

export function tokenRequestHandler(reader: Reader, tokens: ServiceAccountTokens): VirtualHandler {
  /** The newest that is known: a Pod made a moment ago may not be in memory yet. */
  const find = async (
    resource: string,
    namespace: string | undefined,
    name: string,
    uid?: string,
  ): Promise<KubeObject> => {
    const warm = reader.get(resource, namespace, name);
    const found =
      warm && (uid === undefined || warm.metadata.uid === uid) ? warm : await reader.live(resource, namespace, name);
    if (found) return found;
    throw new StatusError("NotFound", `${resource} ${JSON.stringify(name)} not found`, { name, kind: resource });
  };

  return async (object, { namespace = "", name = "" }) => {
    const spec = { ...((object["spec"] ?? {}) as Spec) };
    const account = await find("serviceaccounts", namespace, name);
    const seconds = spec.expirationSeconds ?? 3600;
    const problems = new Problems();
    if (seconds < 600) {
      problems.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes");
    } else if (seconds > 2 ** 32) {
      problems.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds");
    }
    const reference = spec.boundObjectRef;
    const kind = reference?.kind as keyof typeof plurals | undefined;
    if (problems.causes.length > 0) throw invalidError({ group, kind: "TokenRequest" }, "", problems.causes);

    if (reference && (reference.apiVersion !== "v1" || !kind || !Object.hasOwn(plurals, kind))) {
      const { group: boundGroup = "", version = "" } = parseApiVersion(reference.apiVersion ?? "");
      const type = `${boundGroup}/${version}, Kind=${reference.kind ?? ""}`;
      throw new StatusError("BadRequest", `cannot bind token to object of type ${type}`);
    }

    let bound: BoundObject | undefined;
    let node: { name: string; uid?: string } | undefined;
    if (reference && kind) {
      const { name: boundName = "", uid } = reference;
      const target = await find(plurals[kind], kind === "Node" ? undefined : namespace, boundName, uid);
      if (uid && target.metadata.uid !== uid) {
        const message = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;
        throw new StatusError(
          "Conflict",
          `Operation cannot be fulfilled on ${kind} ${JSON.stringify(boundName)}: ${message}`,
          {
            name: boundName,
            kind,
          },
        );
      }
      bound = { kind, name: boundName, uid: target.metadata.uid ?? "" };
      if (kind === "Pod") {
        const pod = target as Pod;
        if ((pod.spec?.serviceAccountName ?? "default") !== name) {
          throw new StatusError(
            "BadRequest",
            `cannot bind token for serviceaccount ${JSON.stringify(name)} to pod running with different serviceaccount name.`,
          );
        }
        const nodeName = pod.spec?.nodeName;
        if (nodeName) {
          const uidOfNode = reader.get("nodes", undefined, nodeName)?.metadata.uid;
          node = { name: nodeName, ...(uidOfNode ? { uid: uidOfNode } : {}) };
        }
      }
    }
    const subject = { namespace, name, uid: account.metadata.uid ?? "" };
    const audiences = spec.audiences?.length ? spec.audiences : [tokens.issuer];
    const issued = await tokens.issue(subject, {
      audiences,
      expirationSeconds: seconds,
      ...(bound ? { bound } : {}),
      ...(node ? { node } : {}),
    });
    return {
      apiVersion: `${group}/v1`,
      kind: "TokenRequest",
      metadata: { name, namespace },
      spec: { boundObjectRef: null, ...spec, audiences, expirationSeconds: seconds },
      status: { token: issued.token, expirationTimestamp: issued.expirationTimestamp },
    };
  };
}
