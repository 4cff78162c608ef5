/**
 * Generates `data/*.json`, the schema facts: names, types, protobuf numbers, defaults, enums, list types
 * and merge keys of every stable kind, read from the API's own Go types. Facts only, no descriptions.
 *
 *   node common/kube/facts/generate.mjs FOLDER
 *
 * FOLDER holds k8s.io/api and k8s.io/apimachinery: Debian's golang-k8s-api-dev and
 * golang-k8s-apimachinery-dev unpacked (usr/share/gocode/src/k8s.io); beside them apiextensions-apiserver,
 * kube-aggregator and metrics, the Go modules of those names.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const source = process.argv[2];
if (!source || !existsSync(join(source, "api/core/v1/types.go"))) {
  console.error("usage: generate.mjs FOLDER (the one that holds api/ and apimachinery/)");
  process.exit(2);
}
const output = join(dirname(fileURLToPath(import.meta.url)), "data");

/** API group → folder under k8s.io/api; the group's DNS name where it is not the folder's. */
const groups = {
  core: { name: "", versions: ["v1"] },
  apps: { name: "apps", versions: ["v1"] },
  batch: { name: "batch", versions: ["v1"] },
  autoscaling: { name: "autoscaling", versions: ["v1", "v2"] },
  networking: { name: "networking.k8s.io", versions: ["v1"] },
  policy: { name: "policy", versions: ["v1"] },
  rbac: { name: "rbac.authorization.k8s.io", versions: ["v1"] },
  storage: { name: "storage.k8s.io", versions: ["v1"] },
  scheduling: { name: "scheduling.k8s.io", versions: ["v1"] },
  coordination: { name: "coordination.k8s.io", versions: ["v1"] },
  discovery: { name: "discovery.k8s.io", versions: ["v1"] },
  events: { name: "events.k8s.io", versions: ["v1"] },
  node: { name: "node.k8s.io", versions: ["v1"] },
  certificates: { name: "certificates.k8s.io", versions: ["v1"] },
  admissionregistration: { name: "admissionregistration.k8s.io", versions: ["v1"] },
  authentication: { name: "authentication.k8s.io", versions: ["v1"] },
  authorization: { name: "authorization.k8s.io", versions: ["v1"] },
  flowcontrol: { name: "flowcontrol.apiserver.k8s.io", versions: ["v1"] },
  resource: { name: "resource.k8s.io", versions: ["v1"] },
  apiextensions: {
    name: "apiextensions.k8s.io",
    versions: ["v1"],
    path: "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions",
  },
  apiregistration: {
    name: "apiregistration.k8s.io",
    versions: ["v1"],
    path: "k8s.io/kube-aggregator/pkg/apis/apiregistration",
  },
  metrics: { name: "metrics.k8s.io", versions: ["v1beta1"], path: "k8s.io/metrics/pkg/apis/metrics" },
};

/** Go types that are scalars to us, by import path and name. */
const special = {
  "k8s.io/apimachinery/pkg/apis/meta/v1.Time": "Time",
  "k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime": "MicroTime",
  "k8s.io/apimachinery/pkg/apis/meta/v1.Duration": "Duration",
  "k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1": "FieldsV1",
  "k8s.io/apimachinery/pkg/api/resource.Quantity": "Quantity",
  "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "IntOrString",
  "k8s.io/apimachinery/pkg/runtime.RawExtension": "RawExtension",
  "k8s.io/apimachinery/pkg/types.UID": "string",
  "k8s.io/apimachinery/pkg/types.NodeName": "string",
  "k8s.io/apimachinery/pkg/types.NamespacedName": "string",
  // Whatever JSON says.
  "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON": "RawExtension",
  "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrArray": "RawExtension",
  "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrBool": "RawExtension",
  "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrStringArray": "RawExtension",
};
const scalars = {
  string: "string",
  bool: "boolean",
  int: "int64",
  int32: "int32",
  int64: "int64",
  uint32: "int64",
  float64: "double",
  byte: "byte",
};

/** "k8s.io/api/core/v1" + "Pod" → "io.k8s.api.core.v1.Pod", the name OpenAPI knows it by. */
const idOf = (path, name) => `io.k8s.${path.slice("k8s.io/".length).replaceAll("/", ".")}.${name}`;

/** Reads one package: its structs, named types and their enum values. */
function readPackage(path) {
  const folder = join(source, path.slice("k8s.io/".length));
  const structs = new Map();
  const named = new Map();
  const enums = new Set();
  const values = new Map();
  for (const file of readdirSync(folder).filter(
    (name) => /^(types.*|register|.*types)\.go$/.test(name) || name === "micro_time.go",
  )) {
    const text = readFileSync(join(folder, file), "utf8");
    const imports = new Map();
    for (const [, alias, target] of text.matchAll(/^\s*(?:import )?(\w+)?\s*"(k8s\.io\/[^"]+)"$/gm))
      imports.set(alias ?? target.split("/").at(-1), target);
    let comments = [];
    const lines = text.split("\n");
    for (let at = 0; at < lines.length; at += 1) {
      const line = lines[at];
      if (line.startsWith("//")) comments.push(line.slice(2).trim());
      else {
        const struct = /^type (\w+) struct \{\s*$/.exec(line);
        const other = /^type (\w+) ([^{]+?)( \/\/.*)?$/.exec(line);
        if (struct) {
          const body = [];
          for (at += 1; lines[at] !== "}"; at += 1) body.push(lines[at]);
          structs.set(struct[1], { body, imports, comments });
        } else if (/^type \w+ struct\{\}/.test(line)) structs.set(line.split(" ")[1], { body: [], imports, comments });
        else if (other) {
          named.set(other[1], { type: other[2].trim(), imports });
          if (comments.includes("+enum")) enums.add(other[1]);
        }
        if (line.trim() !== "") comments = [];
      }
      const constant = /^\s+\w+\s+(\w+)\s*=\s*"([^"]*)"/.exec(line);
      if (constant) values.set(constant[1], [...(values.get(constant[1]) ?? []), constant[2]]);
    }
    for (const [, name, value] of text.matchAll(/^\s+(\w+)\s+\w+\s*=\s*"([^"]*)"/gm)) values.set(`=${name}`, value);
  }
  return { path, structs, named, enums, values };
}

const packages = new Map();
const packageAt = (path) => {
  if (!packages.has(path)) packages.set(path, readPackage(path));
  return packages.get(path);
};

/** Go type text → { type, list?, map?, pointer?, enum? }. */
function resolve(text, pkg, imports) {
  if (text.startsWith("*")) return { ...resolve(text.slice(1), pkg, imports), pointer: true };
  if (text === "[]byte") return { type: "bytes" };
  if (text.startsWith("[]")) return { ...resolve(text.slice(2), pkg, imports), pointer: undefined, list: true };
  const map = /^map\[[\w.]+\](.+)$/.exec(text);
  if (map) {
    const value = resolve(map[1], pkg, imports);
    return { ...value, list: undefined, map: true, ...(value.list ? { listValues: true } : {}) };
  }
  if (scalars[text]) return { type: scalars[text] };
  const [alias, name] = text.includes(".") ? text.split(".") : [undefined, text];
  const path = alias ? imports.get(alias) : pkg.path;
  if (path === undefined) throw new Error(`${pkg.path}: no import for ${text}`);
  const key = `${path}.${name}`;
  if (special[key]) return { type: special[key] };
  const owner = packageAt(path);
  if (owner.structs.has(name)) return { type: idOf(path, name), reference: { path, name } };
  const alias2 = owner.named.get(name);
  if (!alias2) throw new Error(`${pkg.path}: unknown type ${key}`);
  const inner = resolve(alias2.type, owner, alias2.imports);
  if (owner.enums.has(name)) inner.enum = owner.values.get(name) ?? [];
  // A named list is a message of its own in protobuf (its items are field 1).
  if (inner.list && !alias2.type.startsWith("[]byte")) inner.namedList = true;
  return inner;
}

const types = new Map();

function addStruct(path, name) {
  const id = idOf(path, name);
  if (types.has(id)) return;
  const pkg = packageAt(path);
  const { body, imports } = pkg.structs.get(name);
  const fact = { fields: {} };
  types.set(id, fact);
  let comments = [];
  for (const line of body) {
    const text = line.trim();
    if (text.startsWith("//")) {
      comments.push(text.slice(2).trim());
      continue;
    }
    if (text === "") {
      comments = [];
      continue;
    }
    const field = /^(?:(\w+)\s+)?([*\w.[\]]+)\s+`([^`]*)`/.exec(text);
    const markers = comments;
    comments = [];
    if (!field) continue;
    const [, , goType, tag] = field;
    const json = /json:"([^"]*)"/.exec(tag)?.[1].split(",");
    const proto = /protobuf:"([^"]*)"/.exec(tag)?.[1].split(",");
    if (!json || json[0] === "-") continue;
    const resolved = resolve(goType, pkg, imports);
    if (json.includes("inline")) {
      if (resolved.type.endsWith(".TypeMeta")) fact.kind = true;
      else {
        addStruct(resolved.reference.path, resolved.reference.name);
        // In JSON its fields stand here; in protobuf they are a message of their own.
        (fact.inline ??= []).push({ number: Number(proto?.[1] ?? 0), type: resolved.type });
      }
      continue;
    }
    const jsonName = json[0];
    const entry = { number: Number(proto?.[1] ?? 0), type: resolved.type };
    if (proto && proto[0] === "fixed64") entry.type = "double";
    if (resolved.list) entry.list = true;
    if (resolved.namedList) entry.namedList = true;
    if (resolved.map) entry.map = true;
    if (resolved.listValues) entry.listValues = true;
    if (resolved.pointer) entry.pointer = true;
    if (json.includes("omitempty") || json.includes("omitzero")) entry.omitempty = true;
    const marker = (prefix) =>
      markers.filter((m) => m.startsWith(prefix)).map((m) => m.slice(prefix.length).split(" ")[0]);
    if (!markers.includes("+optional") && !json.includes("omitempty") && !json.includes("omitzero"))
      entry.required = true;
    if (markers.includes("+required")) entry.required = true;
    if (resolved.enum) entry.enum = [...new Set(resolved.enum)].toSorted();
    const listType = marker("+listType=")[0];
    if (listType) entry.listType = listType;
    const keys = marker("+listMapKey=");
    if (keys.length > 0) entry.listMapKeys = keys;
    if (markers.includes("+mapType=atomic") || markers.includes("+structType=atomic")) entry.atomic = true;
    const strategy = /patchStrategy:"([^"]*)"/.exec(tag)?.[1];
    if (strategy) entry.patchStrategy = strategy;
    const mergeKey = /patchMergeKey:"([^"]*)"/.exec(tag)?.[1];
    if (mergeKey) entry.patchMergeKey = mergeKey;
    const byDefault = markers.find((m) => m.startsWith("+default="))?.slice("+default=".length);
    if (byDefault !== undefined) {
      const reference = /^ref\((?:[\w./]+\.)?(\w+)\)$/.exec(byDefault);
      entry.default = reference ? pkg.values.get(`=${reference[1]}`) : JSON.parse(byDefault);
    }
    fact.fields[jsonName] = entry;
    if (resolved.reference) addStruct(resolved.reference.path, resolved.reference.name);
  }
  if (pkg.structs.get(name).comments.includes("+structType=atomic")) fact.atomic = true;
}

const META = "k8s.io/apimachinery/pkg/apis/meta/v1";
const kinds = {};
for (const [folder, { name: group, versions, path: home = `k8s.io/api/${folder}` }] of Object.entries(groups)) {
  for (const version of versions) {
    const path = `${home}/${version}`;
    const pkg = packageAt(path);
    for (const [name, { body }] of pkg.structs) {
      if (!body.some((line) => /TypeMeta\s+`json:",inline"/.test(line))) continue;
      addStruct(path, name);
      (kinds[folder] ??= []).push({ group, version, kind: name, type: idOf(path, name) });
    }
  }
}
for (const name of [
  "Status",
  "DeleteOptions",
  "ObjectMeta",
  "ListMeta",
  "LabelSelector",
  "PartialObjectMetadata",
  "PartialObjectMetadataList",
  "Table",
  "APIGroup",
  "APIGroupList",
  "APIResourceList",
  "APIVersions",
  "CreateOptions",
  "PatchOptions",
  "UpdateOptions",
]) {
  addStruct(META, name);
}
kinds.meta = [
  { group: "meta.k8s.io", version: "v1", kind: "DeleteOptions", type: idOf(META, "DeleteOptions") },
  { group: "meta.k8s.io", version: "v1", kind: "PartialObjectMetadata", type: idOf(META, "PartialObjectMetadata") },
];

const fileOf = (id) =>
  /^io\.k8s\.(?:api|(?:apiextensions-apiserver|kube-aggregator|metrics)\.pkg\.apis)\.(\w+)\./.exec(id)?.[1] ?? "meta";
const files = {};
for (const [id, fact] of types) (files[fileOf(id)] ??= {})[id] = fact;
mkdirSync(output, { recursive: true });
for (const [file, content] of Object.entries(files)) {
  const sorted = Object.fromEntries(Object.entries(content).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  // One type a line: small, and a change in the API reads as a change of lines.
  const lines = Object.entries(sorted).map(([id, fact]) => `${JSON.stringify(id)}:${JSON.stringify(fact)}`);
  writeFileSync(
    join(output, `${file}.json`),
    `{"kinds":${JSON.stringify(kinds[file] ?? [])},\n"types":{\n${lines.join(",\n")}\n}}\n`,
  );
}
console.log(`${types.size} types, ${Object.values(kinds).flat().length} kinds in ${Object.keys(files).length} files`);
