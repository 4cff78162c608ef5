/** What a request asks for, read from its method, path and query: the resource or the plain path, and the verb. */
import type { Verb } from "../../resources/definition.ts";

export interface ResourcePath {
  group: string;
  version: string;
  resource: string;
  namespace?: string;
  name?: string;
  subresource?: string;
  /** What follows the subresource ("proxy/metrics/cadvisor"), with a leading slash. */
  rest?: string;
}

export interface RequestInfo {
  method: string;
  /** Decoded nowhere: as it came, without the query. */
  path: string;
  query: URLSearchParams;
  /** Set for requests about a resource. */
  resource?: ResourcePath;
  verb: Verb;
}

/** Subresources that the namespace path would else take for resources of that name. */
const namespaceSubresources = new Set(["status", "finalize"]);

/** Throws URIError on a malformed escape. */
export function readRequest(method: string, url: string): RequestInfo {
  const question = url.indexOf("?");
  const path = question < 0 ? url : url.slice(0, question);
  const query = new URLSearchParams(question < 0 ? "" : url.slice(question + 1));
  const { resource, watch } = resourceOf(path);
  return { method, path, query, ...(resource ? { resource } : {}), verb: verbOf(method, query, resource, watch) };
}

function resourceOf(path: string): { resource?: ResourcePath; watch: boolean } {
  const parts = path.split("/");
  parts.shift();
  if (parts.at(-1) === "") parts.pop();
  if (path.includes("%")) parts.forEach((part, at) => (parts[at] = decodeURIComponent(part)));
  let group = "";
  let version: string | undefined;
  const root = parts[0];
  if (root === "api") [, version] = parts.splice(0, 2);
  else if (root === "apis") [, group = "", version] = parts.splice(0, 3);
  else return { watch: false };
  const watch = parts[0] === "watch" && parts.length > 1;
  if (watch) parts.shift();
  if (version === undefined || parts.length === 0) return { watch: false };
  const inNamespace = parts[0] === "namespaces" && parts.length > 2 && !namespaceSubresources.has(parts[2] ?? "");
  const namespace = inNamespace ? parts.splice(0, 2)[1] : undefined;
  const [resource = "", name, subresource, ...rest] = parts;
  return {
    watch,
    resource: {
      group,
      version,
      resource,
      ...(namespace === undefined ? {} : { namespace }),
      ...(name === undefined ? {} : { name }),
      ...(subresource === undefined ? {} : { subresource }),
      ...(rest.length === 0 ? {} : { rest: `/${rest.join("/")}` }),
    },
  };
}

function verbOf(method: string, query: URLSearchParams, resource: ResourcePath | undefined, watch: boolean): Verb {
  const named = resource?.name !== undefined;
  switch (method) {
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return named ? "delete" : "deletecollection";
    default:
      if (watch || (!resource?.subresource && isTrue(query.get("watch")))) return "watch";
      return named ? "get" : "list";
  }
}

/** As the API server reads flags of a query: present and not "false" or "0". */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== "false" && value !== "0";
}
