/** meta.k8s.io/v1 Tables, what `kubectl get` prints, and PartialObjectMetadata, for what a watcher of names needs. */
import type { TypeFact } from "../../../common/kube/facts/index.ts";
import { factsOf, typeFact } from "../../../common/kube/facts/index.ts";
import type { KubeObject, ListMeta } from "../../../common/kube/object.ts";
import { StatusError } from "../../../common/kube/status.ts";
import { nameAndAge } from "../resources/define.ts";
import type { Cell, Column, ResourceDefinition } from "../resources/definition.ts";

export type IncludeObject = "None" | "Metadata" | "Object";

interface Row {
  cells: Cell[];
  object?: unknown;
}

export interface Table {
  kind: "Table";
  apiVersion: string;
  metadata: ListMeta;
  columnDefinitions: Record<string, unknown>[];
  rows: Row[];
}

const nameColumn = {
  name: "Name",
  type: "string",
  format: "name",
  description: "The object's name, unique within its namespace and kind.",
  priority: 0,
};

const definitionOf = ({ name, type, format = "", description, priority }: Column): Record<string, unknown> => ({
  name,
  type,
  format,
  description,
  priority,
});

/** `columns` false leaves the headers out, as in a watch's later events. */
export function tableOf(
  definition: Pick<ResourceDefinition, "table">,
  objects: Iterable<KubeObject>,
  options: { metadata: ListMeta; version: string; include: IncludeObject; now: Date; columns?: boolean },
): Table {
  const table = definition.table ?? nameAndAge;
  const { metadata, version, include, now, columns = true } = options;
  const headers = [...(table.placesName ? [] : [nameColumn]), ...table.columns.map(definitionOf)];
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: columns ? headers : [],
    rows: Array.from(objects, (object) => ({
      cells: table.cells(object, now),
      object: include === "None" ? null : include === "Object" ? object : partial(object, version),
    })),
  };
}

/** The object without all but its metadata. */
export function partial(object: KubeObject, version: string): KubeObject {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}

/** An answer's protobuf message: metadata alone has the same one in each version. undefined: it has none. */
export function messageOf(object: { apiVersion?: unknown; kind?: unknown }): TypeFact | undefined {
  const { kind } = object;
  if (kind !== "PartialObjectMetadata" && kind !== "PartialObjectMetadataList") return factsOf(object);
  return typeFact(`io.k8s.apimachinery.pkg.apis.meta.v1.${kind}`);
}

/** What the query says is to stand in a Table's rows. Throws BadRequest. */
export function readInclude(value: string | null): IncludeObject {
  if (!value) return "Metadata";
  if (value === "None" || value === "Metadata" || value === "Object") return value;
  throw new StatusError(
    "BadRequest",
    `Unable to convert to Table as requested: includeObject: Invalid value: "${value}": must be 'Metadata', 'Object', 'None', or empty`,
  );
}
