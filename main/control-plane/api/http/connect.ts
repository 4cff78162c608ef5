/**
 * CONNECT, as admission knows it: who runs something in a Pod, or reaches through the API server to a Pod, Service or
 * Node, writes nothing, yet webhooks and policies may have something against it. What they are shown as the object are
 * the request's options.
 */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { AdmissionRequest } from "../../admission/types.ts";
import type { User } from "../../resources/definition.ts";
import type { Target } from "../registry/context.ts";
import type { RequestInfo } from "./request-info.ts";
import { isTrue } from "./request-info.ts";

const KINDS: Record<string, string> = {
  "pods/exec": "PodExecOptions",
  "pods/attach": "PodAttachOptions",
  "pods/portforward": "PodPortForwardOptions",
  "pods/proxy": "PodProxyOptions",
  "services/proxy": "ServiceProxyOptions",
  "nodes/proxy": "NodeProxyOptions",
};

const FLAGS = ["stdin", "stdout", "stderr", "tty"] as const;

/** undefined for what is no CONNECT (logs, which are read). Pure. */
export function connectOptions(info: Pick<RequestInfo, "path" | "query" | "resource">): KubeObject | undefined {
  const { resource: place, query, path } = info;
  const kind = KINDS[`${place?.resource}/${place?.subresource}`];
  if (kind === undefined || place?.group !== "") return undefined;
  const options: Record<string, unknown> = { kind, apiVersion: "v1" };
  if (place.subresource === "proxy") {
    const slash = path.endsWith("/") && !place.rest?.endsWith("/") ? "/" : "";
    const rest = `${place.rest ?? ""}${slash}`;
    if (rest !== "") options["path"] = rest;
  } else if (place.subresource === "portforward") {
    const ports = query
      .getAll("ports")
      .flatMap((text) => text.split(","))
      .map(Number)
      .filter(Number.isInteger);
    if (ports.length > 0) options["ports"] = ports;
  } else {
    for (const flag of FLAGS) if (isTrue(query.get(flag))) options[flag] = true;
    const container = query.get("container");
    if (container) options["container"] = container;
    const command = query.getAll("command");
    if (place.subresource === "exec" && command.length > 0) options["command"] = command;
  }
  return options as unknown as KubeObject;
}

/** undefined where nobody is to be asked. */
export function connectRequest(
  info: RequestInfo,
  { definition, subresource, namespace, name }: Target,
  who: Pick<AdmissionRequest, "warn" | "annotate"> & { user: User },
): AdmissionRequest | undefined {
  const object = connectOptions(info);
  if (!object || !subresource) return undefined;
  const { group, version, resource } = definition;
  return {
    operation: "CONNECT",
    gvr: { group, version, resource },
    kind: object.kind,
    subresource: subresource.name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    dryRun: false,
    object,
    ...who,
  };
}
