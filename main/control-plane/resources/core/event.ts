/**
 * Events, stored once in the core shape and shown as v1 and as events.k8s.io/v1, whose fields have other
 * names: regarding = involvedObject, note = message, reportingController = reportingComponent.
 */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { Event } from "../../../../common/kube/types.ts";
import type { ResourceDefinition, TableDefinition } from "../definition.ts";
import { column, define } from "../define.ts";
import { age } from "../duration.ts";
import { Problems } from "../validation/problems.ts";

type Reference = { kind?: string; namespace?: string; name?: string; fieldPath?: string };
type Source = { component?: string; host?: string };

const reference = (event: KubeObject): Reference => ((event as Event).involvedObject ?? {}) as Reference;

function sourceOf(event: Event): string {
  const source = (event.source ?? {}) as Source;
  const component = source.component || event.reportingComponent || "";
  const host = source.host || event.reportingInstance || "";
  return host === "" || host === component ? component : `${component}, ${host}`;
}

function cells(object: KubeObject, now: Date): (string | number)[] {
  const event = object as Event;
  const series = event.series as { count?: number; lastObservedTime?: string } | undefined;
  const time = event.eventTime as string | undefined;
  const first = event.firstTimestamp ?? time;
  const last = series?.lastObservedTime ?? event.lastTimestamp ?? first;
  const { kind = "", name = "", fieldPath = "" } = reference(event);
  return [
    age(last, now),
    event.type ?? "",
    event.reason ?? "",
    `${kind.toLowerCase()}/${name}`,
    fieldPath,
    sourceOf(event),
    (event.message ?? "").trim(),
    age(first, now),
    series?.count ?? event.count ?? 1,
    event.metadata.name ?? "",
  ];
}

const wide = { wide: true } as const;
const eventTable: TableDefinition = {
  placesName: true,
  columns: [
    column("Last Seen", "When the event was seen last"),
    column("Type", "Normal or Warning"),
    column("Reason", "Why the event was made, in one word"),
    column("Object", "What the event is about"),
    column("Subobject", "The part of the object that it is about", wide),
    column("Source", "What reported the event", wide),
    column("Message", "What happened, in words"),
    column("First Seen", "When the event was seen first", wide),
    column("Count", "How often it was seen", { type: "integer", wide: true }),
    { ...column("Name", "The event's own name", wide), format: "name" },
  ],
  cells,
};

/** The paths by which clients look for the events of an object. */
function selectable(prefix: string): Record<string, (object: KubeObject) => string> {
  const parts = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];
  return Object.fromEntries(
    parts.map((part) => [
      `${prefix}.${part}`,
      (object: KubeObject) => {
        const value = (object[prefix] as Record<string, unknown> | undefined)?.[part];
        return typeof value === "string" ? value : "";
      },
    ]),
  );
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const about = reference(object);
  const { namespace = "" } = object.metadata;
  // Events about cluster-scoped objects live in "default".
  if ((about.namespace ?? "") === "" ? namespace !== "default" : about.namespace !== namespace) {
    problems.invalid("involvedObject.namespace", about.namespace ?? "", "does not match event.namespace");
  }
  return problems.causes;
}

const common = { shortNames: ["ev"], kind: "Event", resource: "events", table: eventTable } as const;

export const event: ResourceDefinition = define({
  ...common,
  shortNames: ["ev"],
  group: "",
  version: "v1",
  strategy: { validate, allowCreateOnUpdate: true },
  selectableFields: {
    ...selectable("involvedObject"),
    reason: (object) => text(object["reason"]),
    reportingComponent: (object) => text(object["reportingComponent"]),
    source: (object) => text((object["source"] as Source | undefined)?.component) || text(object["reportingComponent"]),
    type: (object) => text(object["type"]),
  },
});

/** core name → events.k8s.io name. */
const renamed = {
  involvedObject: "regarding",
  message: "note",
  reportingComponent: "reportingController",
  source: "deprecatedSource",
  firstTimestamp: "deprecatedFirstTimestamp",
  lastTimestamp: "deprecatedLastTimestamp",
  count: "deprecatedCount",
} as const;

function rename(object: KubeObject, apiVersion: string, names: [string, string][]): KubeObject {
  const map = new Map(names);
  const entries = Object.entries(object).map(([key, value]) => [map.get(key) ?? key, value] as const);
  return { ...(Object.fromEntries(entries) as KubeObject), apiVersion };
}

const toCore = (object: KubeObject): KubeObject =>
  rename(
    object,
    "v1",
    Object.entries(renamed).map(([core, modern]) => [modern, core]),
  );
const fromCore = (object: KubeObject): KubeObject => rename(object, "events.k8s.io/v1", Object.entries(renamed));

export const modernEvent: ResourceDefinition = define({
  ...common,
  shortNames: ["ev"],
  group: "events.k8s.io",
  version: "v1",
  table: { ...eventTable, cells: (object, now) => cells(toCore(object), now) },
  strategy: { validate: (object) => validate(toCore(object)), allowCreateOnUpdate: true },
  selectableFields: {
    ...selectable("regarding"),
    reason: (object) => text(object["reason"]),
    reportingController: (object) => text(object["reportingController"]),
    type: (object) => text(object["type"]),
  },
  storedAs: { group: "", version: "v1", resource: "events", toStored: toCore, fromStored: fromCore },
});
