/** Which operations each path has: the same for both dialects of OpenAPI. */
import { customKind, customTypeId } from "../../../../common/kube/facts/custom.ts";
import { factsFor } from "../../../../common/kube/facts/index.ts";
import type { ResourceDefinition, SubresourceDefinition, Verb } from "../../resources/definition.ts";

export interface Parameter {
  name: string;
  in: "query" | "path";
  type: "string" | "integer" | "boolean";
  description: string;
}

export interface Operation {
  method: "get" | "post" | "put" | "patch" | "delete";
  id: string;
  action: string;
  tag: string;
  description: string;
  parameters: Parameter[];
  /** Type id of the body. */
  body?: string;
  patch?: boolean;
  /** Type id of what 200 answers with; undefined for plain text. */
  answer?: string;
  created?: boolean;
  gvk?: { group: string; version: string; kind: string };
}

export interface PathOperations {
  path: string;
  /** Path parameters. */
  parameters: Parameter[];
  operations: Operation[];
}

const metaV1 = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const query = (name: string, type: Parameter["type"], description: string): Parameter => ({
  name,
  in: "query",
  type,
  description,
});

const pretty = query("pretty", "string", "Asks for indented output.");
const dryRun = query("dryRun", "string", "With `All` nothing is stored: everything else happens.");
const fieldManager = query("fieldManager", "string", "Names who makes the change, for the fields' owners.");
const fieldValidation = query(
  "fieldValidation",
  "string",
  "What happens with unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
);
const force = query("force", "boolean", "Takes over fields that others own. For apply patches only.");
const listing = [
  query("allowWatchBookmarks", "boolean", "Asks a watch for BOOKMARK events."),
  query("continue", "string", "Where the page before this one ended."),
  query("fieldSelector", "string", "Only objects whose fields are so."),
  query("labelSelector", "string", "Only objects whose labels are so."),
  query("limit", "integer", "At most so many objects in one page."),
  query("resourceVersion", "string", "Which state to show, or to watch from."),
  query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
  query("sendInitialEvents", "boolean", "Asks a watch to begin with what there is."),
  query("timeoutSeconds", "integer", "Ends the list or watch after so long."),
  query("watch", "boolean", "Asks for changes as they happen."),
];
const writing = [dryRun, fieldManager, fieldValidation];
const deleting = [
  dryRun,
  query("gracePeriodSeconds", "integer", "How long the object may take to end."),
  query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
  query("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
];
const nameParameter = (kind: string): Parameter => ({
  name: "name",
  in: "path",
  type: "string",
  description: `Name of the ${kind}.`,
});
const namespaceParameter: Parameter = { name: "namespace", in: "path", type: "string", description: "The namespace." };

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const typeOf = (kind: { group: string; version: string; kind: string }): string | undefined =>
  factsFor(kind)?.id ?? (customKind(kind) && customTypeId(kind, kind.kind));

export const rootOf = ({ group, version }: { group: string; version: string }): string =>
  group === "" ? `/api/${version}` : `/apis/${group}/${version}`;

/** "CoreV1", "AppsV1", "RbacAuthorizationV1" */
function tagOf({ group, version }: { group: string; version: string }): string {
  const name =
    group === ""
      ? "core"
      : group
          .replace(/\.k8s\.io$/, "")
          .split(".")
          .map(capital)
          .join("");
  return `${capital(name)}${capital(version)}`;
}

/** The paths of one resource, its subresources' included. */
export function pathsOf(definition: ResourceDefinition): PathOperations[] {
  const { kind, namespaced, resource } = definition;
  const gvk = { group: definition.group, version: definition.version, kind };
  const type = typeOf(gvk);
  const tag = tagOf(definition);
  const scope = namespaced ? "Namespaced" : "";
  const base = `${rootOf(definition)}${namespaced ? "/namespaces/{namespace}" : ""}/${resource}`;
  const place = namespaced ? [namespaceParameter, pretty] : [pretty];
  const has = (verb: Verb): boolean => definition.verbs.includes(verb);
  const operation = (
    method: Operation["method"],
    action: string,
    verb: string,
    rest: Partial<Operation> = {},
  ): Operation => ({
    method,
    action,
    id: `${verb}${tag}${scope}${kind}`,
    tag: tag.charAt(0).toLowerCase() + tag.slice(1),
    description: `${verb} ${kind}`,
    parameters: [],
    gvk,
    ...(type ? { answer: type } : {}),
    ...rest,
  });
  const custom = customKind(gvk);
  const list = custom
    ? customTypeId(gvk, custom.listKind)
    : typeOf({ ...gvk, kind: definition.listKind ?? `${kind}List` });
  const status = `${metaV1}Status`;

  const collection: Operation[] = [];
  if (has("list"))
    collection.push(operation("get", "list", "list", { parameters: listing, ...(list ? { answer: list } : {}) }));
  if (has("create")) {
    collection.push(
      operation("post", "post", "create", { parameters: writing, created: true, ...(type ? { body: type } : {}) }),
    );
  }
  if (has("deletecollection")) {
    collection.push(
      operation("delete", "deletecollection", "deleteCollection", {
        parameters: [...listing.slice(1, 8), ...deleting],
        body: `${metaV1}DeleteOptions`,
        answer: status,
      }),
    );
  }
  const item: Operation[] = [];
  if (has("get")) item.push(operation("get", "get", "read"));
  if (has("update")) {
    item.push(
      operation("put", "put", "replace", { parameters: writing, created: true, ...(type ? { body: type } : {}) }),
    );
  }
  if (has("delete")) {
    item.push(
      operation("delete", "delete", "delete", { parameters: deleting, body: `${metaV1}DeleteOptions`, answer: status }),
    );
  }
  if (has("patch")) {
    item.push(
      operation("patch", "patch", "patch", {
        parameters: [...writing, force],
        patch: true,
        created: true,
        body: `${metaV1}Patch`,
      }),
    );
  }

  const paths: PathOperations[] = [{ path: base, parameters: place, operations: collection }];
  if (item.length > 0) {
    paths.push({ path: `${base}/{name}`, parameters: [nameParameter(kind), ...place], operations: item });
  }
  if (namespaced && has("list")) {
    const everywhere = {
      ...operation("get", "list", "list", { parameters: listing, ...(list ? { answer: list } : {}) }),
    };
    everywhere.id = `list${tag}${kind}ForAllNamespaces`;
    paths.push({ path: `${rootOf(definition)}/${resource}`, parameters: [pretty], operations: [everywhere] });
  }
  for (const sub of definition.subresources ?? []) {
    const parameters = [nameParameter(sub.kind?.kind ?? kind), ...place];
    const operations = subOperations(definition, sub, operation);
    if (operations.length > 0) paths.push({ path: `${base}/{name}/${sub.name}`, parameters, operations });
  }
  return paths.filter(({ operations }) => operations.length > 0);
}

const methods: Partial<Record<Verb, [Operation["method"], string, string]>> = {
  get: ["get", "get", "read"],
  create: ["post", "post", "create"],
  update: ["put", "put", "replace"],
  patch: ["patch", "patch", "patch"],
};
/** Streams and proxies: whatever passes through them is nobody's schema. */
const streams = new Set(["exec", "attach", "portforward", "proxy", "log"]);

function subOperations(
  definition: ResourceDefinition,
  sub: SubresourceDefinition,
  make: (method: Operation["method"], action: string, verb: string, rest?: Partial<Operation>) => Operation,
): Operation[] {
  const gvk = sub.kind ?? { group: definition.group, version: definition.version, kind: definition.kind };
  const type = typeOf(gvk);
  const suffix = sub.name.split("/").map(capital).join("");
  return sub.verbs.flatMap((verb) => {
    const [method, action, word] = methods[verb] ?? [];
    if (!method || !action || !word) return [];
    const connects = streams.has(sub.name) && sub.name !== "log";
    const base = make(method, connects ? "connect" : action, connects ? `connect${capital(method)}` : word);
    const patch = method === "patch";
    const body = streams.has(sub.name) || method === "get" ? undefined : patch ? `${metaV1}Patch` : type;
    const { answer: _, ...rest } = base;
    return [
      {
        ...rest,
        id: `${base.id}${suffix}`,
        gvk,
        parameters: method === "get" ? [] : patch ? [...writing, force] : writing,
        ...(patch ? { patch } : {}),
        ...(body ? { body } : {}),
        ...(streams.has(sub.name) || !type ? {} : { answer: type }),
        created: method === "post",
      },
    ];
  });
}
