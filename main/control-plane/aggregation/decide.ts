/** What there is to decide of APIServices: whether one is there, and which ones this server keeps itself. Pure. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { compareVersions } from "../api/discovery/documents.ts";
import { same } from "../resources/validation/problems.ts";
import { AUTOMANAGED, apiServices, availability } from "./types.ts";
import type { ApiService, Condition } from "./types.ts";

export interface Backing {
  /** The Service; undefined where there is none. */
  service?: KubeObject & { spec?: { type?: string; ports?: { name?: string; port?: number }[] } };
  slices: readonly (KubeObject & {
    endpoints?: { addresses?: string[]; conditions?: { ready?: boolean } }[];
    ports?: { name?: string; port?: number }[];
  })[];
}

type Verdict = Pick<Condition, "status" | "reason" | "message">;

const no = (reason: string, message: string): Verdict => ({ status: "False", reason, message });
export const passed: Verdict = { status: "True", reason: "Passed", message: "all checks passed" };
export const local: Verdict = {
  status: "True",
  reason: "Local",
  message: "Local APIServices are always available",
};
export const failedDiscovery = (url: string, why: string): Verdict =>
  no("FailedDiscoveryCheck", `failing or missing response from ${url}: ${why}`);

/** What its Service already says against it; undefined where it must be asked itself. */
export function backingVerdict({ spec }: ApiService, { service, slices }: Backing): Verdict | undefined {
  const { namespace = "", name = "", port = 443 } = spec.service ?? {};
  const place = `${JSON.stringify(namespace)}`;
  if (!service) return no("ServiceNotFound", `service/${name} in ${place} is not present`);
  if ((service.spec?.type ?? "ClusterIP") === "ExternalName") return undefined;
  const wanted = service.spec?.ports?.find((one) => one.port === port);
  if (!wanted) return no("ServicePortError", `service/${name} in ${place} is not listening on port ${port}`);
  if (slices.length === 0) return no("EndpointsNotFound", `cannot find endpointslices for service/${name} in ${place}`);
  const portName = wanted.name ?? "";
  const reachable = slices.some(
    ({ endpoints = [], ports = [] }) =>
      ports.some((one) => (one.name ?? "") === portName) &&
      endpoints.some(({ addresses = [], conditions }) => addresses.length > 0 && conditions?.ready !== false),
  );
  if (reachable) return undefined;
  const words = `endpointslices for service/${name} in ${place} have no addresses with port name ${JSON.stringify(portName)}`;
  return no("MissingEndpoints", words);
}

/** The status with the verdict; undefined where it says so already. */
export function withVerdict(service: ApiService, verdict: Verdict, now: Date): ApiService["status"] | undefined {
  const before = availability(service);
  const condition: Condition = {
    type: "Available",
    ...verdict,
    lastTransitionTime:
      before?.status === verdict.status && before.lastTransitionTime !== undefined
        ? before.lastTransitionTime
        : `${now.toISOString().slice(0, 19)}Z`,
  };
  if (same(before, condition)) return undefined;
  const others = (service.status?.conditions ?? []).filter(({ type }) => type !== "Available");
  return { ...service.status, conditions: [...others, condition] };
}

export interface GroupVersion {
  group: string;
  version: string;
  /** Served for a CustomResourceDefinition. */
  custom: boolean;
}

/** Groups that lists put first: the higher the number the earlier. What is not named is in the middle. */
const PRIORITIES: Record<string, number> = {
  "": 18_000,
  "apiregistration.k8s.io": 18_000,
  apps: 17_800,
  "events.k8s.io": 17_750,
  "authentication.k8s.io": 17_700,
  "authorization.k8s.io": 17_600,
  autoscaling: 17_500,
  batch: 17_400,
  "certificates.k8s.io": 17_300,
  "networking.k8s.io": 17_200,
  policy: 17_100,
  "rbac.authorization.k8s.io": 17_000,
  "storage.k8s.io": 16_800,
  "apiextensions.k8s.io": 16_700,
  "admissionregistration.k8s.io": 16_700,
  "scheduling.k8s.io": 16_600,
  "coordination.k8s.io": 16_500,
  "node.k8s.io": 16_300,
  "discovery.k8s.io": 16_200,
  "flowcontrol.apiserver.k8s.io": 16_100,
  "resource.k8s.io": 15_900,
};
const CUSTOM_PRIORITY = 1000;

export interface Keeping {
  create: ApiService[];
  /** Names. */
  remove: string[];
}

/**
 * The local APIServices that are missing, and those of definitions that are gone. One that is there is never
 * changed: whoever put a Service behind it wants that Service to answer.
 */
export function keepLocal(wanted: readonly GroupVersion[], there: readonly ApiService[]): Keeping {
  const names = new Set(there.map(({ metadata }) => metadata.name));
  const nameOf = ({ group, version }: { group: string; version: string }): string => `${version}.${group}`;
  const served = new Set(wanted.map(nameOf));
  const create = wanted
    .filter((one) => !names.has(nameOf(one)))
    .map((one): ApiService => {
      const { group, version, custom } = one;
      const siblings = wanted.filter((other) => other.group === group).map((other) => other.version);
      const newer = siblings.toSorted(compareVersions).toReversed().indexOf(version);
      return {
        apiVersion: `${apiServices.group}/${apiServices.version}`,
        kind: "APIService",
        metadata: { name: nameOf(one), labels: { [AUTOMANAGED]: custom ? "true" : "onstart" } },
        spec: {
          ...(group === "" ? {} : { group }),
          version,
          groupPriorityMinimum: custom ? CUSTOM_PRIORITY : (PRIORITIES[group] ?? CUSTOM_PRIORITY),
          versionPriority: custom ? 100 + newer : group === "" ? 1 : 15 + newer,
        },
      };
    });
  const remove = there
    .filter(({ metadata, spec }) => metadata.labels?.[AUTOMANAGED] === "true" && !spec.service)
    .flatMap(({ metadata: { name = "" } }) => (served.has(name) ? [] : [name]));
  return { create, remove };
}
