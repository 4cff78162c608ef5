/** The parameters of a policy: objects of its paramKind that a binding names or selects. */
import type { Client } from "../../../../common/kube/client.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { parseApiVersion } from "../../../../common/kube/object.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { Served } from "../matching.ts";
import type { AdmissionRequest } from "../types.ts";
import type { Binding, Policy } from "./policies.ts";

/** The binding cannot be worked out: what that means is the policy's failurePolicy's. */
export class ParamsError extends Error {}

/** Each is an evaluation of its own; [undefined] where the policy takes none. Throws ParamsError. */
export async function paramsOf(
  policy: Pick<Policy, "spec">,
  { spec: { paramRef } }: Binding,
  request: AdmissionRequest,
  served: Served | undefined,
  client: Client,
): Promise<(KubeObject | undefined)[]> {
  const { paramKind } = policy.spec;
  if (!paramKind || !paramRef) return [undefined];
  const { apiVersion = "", kind = "" } = paramKind;
  const { group, version } = parseApiVersion(apiVersion);
  const definition = served?.all().find((one) => one.kind === kind && one.group === group && one.version === version);
  if (!definition) throw new ParamsError(`paramKind kind \`${apiVersion}, Kind=${kind}\` not known`);
  const gvr = { group, version, resource: definition.resource };
  let namespace: string | undefined;
  if (definition.namespaced) {
    namespace = paramRef.namespace || request.namespace;
    if (!namespace) {
      throw new ParamsError("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources");
    }
  } else if (paramRef.namespace) {
    throw new ParamsError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
  }
  const found = await read(client, gvr, namespace, paramRef);
  if (found.length > 0) return found;
  if (paramRef.parameterNotFoundAction === "Allow") return [];
  throw new ParamsError("no params found for policy binding with `Deny` parameterNotFoundAction");
}

async function read(
  client: Client,
  gvr: { group: string; version: string; resource: string },
  namespace: string | undefined,
  { name, selector }: { name?: string; selector?: object },
): Promise<KubeObject[]> {
  const place = namespace === undefined ? {} : { namespace };
  if (name) {
    try {
      return [await client.get({ ...gvr, ...place, name })];
    } catch (error) {
      if (isStatus(error, "NotFound")) return [];
      throw error;
    }
  }
  const { items } = await client.list(gvr, place);
  const fits = selectorFromObject(selector);
  return items.filter(({ metadata }) => fits.matches(metadata.labels));
}
