/** ConfigMaps and Secrets: keys, sizes, types, and immutability. */
import { configMapKeyProblems } from "../../../../common/kube/names.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ConfigMap, Secret } from "../../../../common/kube/types.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, table } from "../define.ts";
import { Problems, same } from "../validation/problems.ts";

const mostBytes = 1024 * 1024;
const count = (map: object | undefined): number => Object.keys(map ?? {}).length;
const base64Bytes = (text: string): number => Buffer.byteLength(text, "base64");

function validateConfigMap(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { data = {}, binaryData = {} } = object as ConfigMap;
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    for (const problem of configMapKeyProblems(key)) problems.invalid(`data[${key}]`, key, problem);
    if (Object.hasOwn(binaryData, key)) {
      problems.invalid(`data[${key}]`, key, "duplicate of key present in binaryData");
    }
    bytes += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    problems.invalidAll(`binaryData[${key}]`, key, configMapKeyProblems(key));
    bytes += base64Bytes(String(value));
  }
  if (bytes > mostBytes) problems.tooLong("", mostBytes);
  return problems.causes;
}

function validateImmutable(object: KubeObject, old: KubeObject, fields: string[]): StatusCause[] {
  const problems = new Problems();
  if (old["immutable"] !== true) return problems.causes;
  if (object["immutable"] !== true) problems.forbidden("immutable", "field is immutable when `immutable` is set");
  for (const field of fields) {
    if (!same(object[field], old[field])) problems.forbidden(field, "field is immutable when `immutable` is set");
  }
  return problems.causes;
}

export const configMap: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "ConfigMap",
  resource: "configmaps",
  shortNames: ["cm"],
  strategy: {
    validate: validateConfigMap,
    validateUpdate: (object, old) => [
      ...validateImmutable(object, old, ["data", "binaryData"]),
      ...validateConfigMap(object),
    ],
  },
  table: table<ConfigMap>(
    shows("Data", "The number of entries", (one) => count(one.data) + count(one.binaryData), { type: "integer" }),
    showsAge,
  ),
});

/** Secret type → the keys that must be there. */
const neededKeys: Record<string, readonly string[]> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};
const jsonKeys = new Set([".dockercfg", ".dockerconfigjson"]);
const accountAnnotation = "kubernetes.io/service-account.name";

function isJson(base64: string): boolean {
  try {
    JSON.parse(Buffer.from(base64, "base64").toString("utf8"));
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function validateSecret(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { type = "", metadata } = object as Secret;
  const data = ((object as Secret).data ?? {}) as Record<string, string>;
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    for (const problem of configMapKeyProblems(key)) problems.invalid(`data[${key}]`, key, problem);
    bytes += base64Bytes(value);
  }
  if (bytes > mostBytes) problems.tooLong("data", mostBytes);
  for (const key of (Object.hasOwn(neededKeys, type) && neededKeys[type]) || []) {
    const value = data[key];
    if (value === undefined) problems.required(`data[${key}]`);
    else if (jsonKeys.has(key) && !isJson(value)) {
      problems.invalid(`data[${key}]`, "<secret contents redacted>", "invalid character in JSON text");
    }
  }
  if (type === "kubernetes.io/basic-auth" && data["username"] === undefined && data["password"] === undefined) {
    problems.required("data[username]");
    problems.required("data[password]");
  }
  if (type === "kubernetes.io/service-account-token" && !metadata.annotations?.[accountAnnotation]) {
    problems.required(`metadata.annotations[${accountAnnotation}]`);
  }
  return problems.causes;
}

/** stringData is for writing only: it overrides data, in base64. */
function mergeStringData(object: KubeObject): void {
  const secret = object as Secret;
  if (!secret.stringData) return;
  const data = { ...secret.data } as Record<string, string>;
  for (const [key, value] of Object.entries(secret.stringData)) {
    data[key] = Buffer.from(value, "utf8").toString("base64");
  }
  object["data"] = data;
  delete object["stringData"];
}

export const secret: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "Secret",
  resource: "secrets",
  strategy: {
    defaults: mergeStringData,
    prepareForUpdate(object, old) {
      // The type of a Secret that was written without one stays what it was.
      if (!object["type"]) object["type"] = old["type"];
    },
    validate: validateSecret,
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("type", object["type"], old["type"]);
      problems.add(validateImmutable(object, old, ["data"]));
      problems.add(validateSecret(object));
      return problems.causes;
    },
  },
  table: table<Secret>(
    shows("Type", "What the Secret is for", (one) => one.type ?? ""),
    shows("Data", "The number of entries", (one) => count(one.data), { type: "integer" }),
    showsAge,
  ),
  selectableFields: { type: (object) => String(object["type"] ?? "") },
});
