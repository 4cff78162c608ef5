/** For tests: takes an object through its definition as the registry would, and says what was wrong with it. */
import { applyDefaults } from "../../../../common/kube/facts/defaults.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { parseApiVersion } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { parse } from "yaml";
import type { RequestContext, ResourceDefinition } from "../definition.ts";
import { builtinResources } from "../index.ts";
import { validateMetadata, validateMetadataUpdate } from "../validation/metadata.ts";

const definitions = builtinResources();
export const testNow = new Date("2026-01-01T00:00:00Z");

export function definitionOf(object: KubeObject): ResourceDefinition {
  const { group, version } = parseApiVersion(object.apiVersion);
  const found = definitions.find((one) => one.group === group && one.version === version && one.kind === object.kind);
  if (!found) throw new Error(`no definition of ${object.apiVersion} ${object.kind}`);
  return found;
}

export function context(changes: Partial<RequestContext> = {}): RequestContext {
  return {
    user: { name: "ann", uid: "u1", groups: ["devs", "system:authenticated"] },
    verb: "create",
    dryRun: false,
    warn: () => {},
    now: () => testNow,
    ...changes,
  };
}

/** "spec.replicas: Invalid value: -1: must be …" */
const shown = (causes: StatusCause[]): string[] => causes.map((cause) => `${cause.field}: ${cause.message}`);

function defaults(object: KubeObject, definition: ResourceDefinition): void {
  applyDefaults(object);
  definition.strategy.defaults?.(object);
}

export function fromYaml(text: string): KubeObject {
  const object = parse(text) as KubeObject;
  object.metadata ??= {};
  if (definitionOf(object).namespaced) object.metadata.namespace ??= "default";
  return object;
}

/** The object as it would be stored, with its problems. */
export function judgeCreate(object: KubeObject): { object: KubeObject; problems: string[] } {
  const definition = definitionOf(object);
  object.metadata.uid ??= "11111111-2222-3333-4444-555555555555";
  object.metadata.creationTimestamp ??= "2026-01-01T00:00:00Z";
  defaults(object, definition);
  definition.strategy.prepareForCreate?.(object, context());
  const causes = [
    ...validateMetadata(object, definition),
    ...(definition.strategy.validate?.(object, context()) ?? []),
  ];
  return { object, problems: shown(causes) };
}

/** As an update of `old` (which is taken through creation first). */
export function judgeUpdate(
  old: KubeObject,
  change: (object: KubeObject) => void,
): { object: KubeObject; problems: string[] } {
  const stored = judgeCreate(old).object;
  const object = structuredClone(stored);
  change(object);
  const definition = definitionOf(object);
  defaults(object, definition);
  definition.strategy.prepareForUpdate?.(object, stored, context({ verb: "update" }));
  const causes = [
    ...validateMetadataUpdate(object, stored),
    ...(definition.strategy.validateUpdate?.(object, stored, context({ verb: "update" })) ?? []),
  ];
  return { object, problems: shown(causes) };
}

/** What `kubectl get` would print of the object: column → cell, wide ones included. */
export function row(object: KubeObject, now: Date = testNow): Record<string, unknown> {
  const { table } = definitionOf(object);
  const cells = table?.cells(object, now) ?? [];
  const names = table?.columns.map((column) => column.name) ?? [];
  return Object.fromEntries((table?.placesName ? names : ["Name", ...names]).map((name, at) => [name, cells[at]]));
}
