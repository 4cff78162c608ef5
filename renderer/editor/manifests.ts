/** Manifests against a cluster: what applying would change, applying it, and where the server's complaints belong. */
import { stringify } from "yaml";
import type { KubeObject } from "../../common/kube/object.ts";
import { isStatus, StatusError } from "../../common/kube/status.ts";
import { kubePath, type KubeApi } from "../kube/api.ts";
import type { ResourceInfo } from "../kube/discovery.ts";
import { applyFromClient, LAST_APPLIED } from "./client-apply.ts";
import { problemsOf, type ManifestDocument, type ParsedManifest, type Problem } from "../kube/yaml-lines.ts";

export const FIELD_MANAGER = "drydock";

export interface Outcome {
  document: ManifestDocument;
  name: string;
  result: "created" | "changed" | "unchanged" | "failed";
  /** As YAML without what the server keeps for itself. */
  before: string;
  after: string;
  problems: Problem[];
  /** What the server remarks without refusing. */
  warnings: string[];
  /** Set when other managers own fields it sets: "kubectl owns spec.replicas". */
  conflict: string;
}

export interface ApplyOptions {
  dryRun: boolean;
  /** Take fields over from other managers. */
  force: boolean;
  /** Where namespaced objects without a namespace go. */
  namespace: string;
  find: (apiVersion: string, kind: string) => ResourceInfo | undefined;
}

/** One after the other and in order, as kubectl does; a failed one does not keep back the rest. */
export async function applyManifest(api: KubeApi, manifest: ParsedManifest, options: ApplyOptions): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const document of manifest.documents) outcomes.push(await applyDocument(api, manifest, document, options));
  return outcomes;
}

async function applyDocument(
  api: KubeApi,
  manifest: ParsedManifest,
  document: ManifestDocument,
  options: ApplyOptions,
): Promise<Outcome> {
  const { object } = document;
  const title = `${object.kind} ${object.metadata.name ?? object.metadata.generateName ?? ""}`;
  const failed = (problems: Problem[], conflict = ""): Outcome => ({
    document,
    name: title,
    result: "failed",
    before: "",
    after: "",
    problems,
    warnings: [],
    conflict,
  });
  const info = options.find(object.apiVersion, object.kind);
  if (!info) {
    return failed([
      {
        ...manifest.locate(document.index, "kind"),
        message: `This cluster serves no ${object.kind} in ${object.apiVersion}.`,
      },
    ]);
  }
  const namespace = info.namespaced ? (object.metadata.namespace ?? options.namespace) : undefined;
  const { group } = info;
  const version = object.apiVersion.slice(object.apiVersion.indexOf("/") + 1);
  const gvr = { group, version, resource: info.resource };
  const sent: KubeObject = { ...object, metadata: { ...object.metadata, ...(namespace && { namespace }) } };
  try {
    const before = object.metadata.name
      ? await existing(api, kubePath(gvr, { namespace, name: object.metadata.name }))
      : undefined;
    const query = { fieldManager: FIELD_MANAGER, fieldValidation: "Strict", ...(options.dryRun && { dryRun: "All" }) };
    const name = object.metadata.name;
    const collectionPath = kubePath(gvr, { namespace, query });
    const objectPath = kubePath(gvr, { namespace, name, query });
    const response = await (name
      ? api
          .request(`${objectPath}&force=${options.force}`, {
            method: "PATCH",
            headers: { "content-type": "application/apply-patch+yaml" },
            body: sent,
          })
          .catch((error: unknown) => {
            if (!isStatus(error, "UnsupportedMediaType")) throw error;
            return applyFromClient(api, { objectPath, collectionPath, live: before, object: sent });
          })
      : api.request(collectionPath, { method: "POST", body: sent }));
    const after = JSON.parse(response.body) as KubeObject;
    const [was, is] = [before ? readable(before) : "", readable(after)];
    return {
      document,
      name: title,
      result: !before ? "created" : was === is ? "unchanged" : "changed",
      before: was,
      after: is,
      problems: [],
      warnings: warningsOf(response.headers["warning"] ?? ""),
      conflict: "",
    };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const causes = error.status.details?.causes ?? [];
    const conflict = causes.some((cause) => cause.reason === "FieldManagerConflict")
      ? causes.map((cause) => `${cause.field ?? ""}: ${cause.message ?? ""}`).join("\n")
      : "";
    return failed(problemsOf(manifest, document.index, error.message, causes), conflict);
  }
}

/** The texts of `Warning: 299 - "…"` headers, joined by commas when there are several. */
export function warningsOf(header: string): string[] {
  return [...header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) =>
    (match[1] ?? "").replaceAll(/\\(.)/g, "$1"),
  );
}

async function existing(api: KubeApi, path: string): Promise<KubeObject | undefined> {
  try {
    return await api.json<KubeObject>(path);
  } catch (error) {
    if (isStatus(error, "NotFound")) return undefined;
    throw error;
  }
}

/** YAML as a person would write it: without managed fields and the server's own marks, in the usual order. */
export function readable(object: KubeObject): string {
  const { apiVersion, kind, metadata, ...rest } = object;
  const {
    managedFields: _managed,
    resourceVersion: _version,
    uid: _uid,
    creationTimestamp: _created,
    generation: _generation,
    annotations,
    ...kept
  } = metadata;
  const { [LAST_APPLIED]: _applied, ...others } = annotations ?? {};
  const shown = { ...kept, ...(Object.keys(others).length > 0 && { annotations: others }) };
  const { status: _status, ...body } = rest;
  return stringify({ apiVersion, kind, metadata: shown, ...body }, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** YAML to edit a live object by: everything but managedFields and status, so that a stale version is noticed. */
export function editable(object: KubeObject): string {
  const { apiVersion, kind, metadata, status: _status, ...rest } = object;
  const { managedFields: _managed, ...kept } = metadata;
  return stringify({ apiVersion, kind, metadata: kept, ...rest }, { lineWidth: 0, aliasDuplicateObjects: false });
}
