/**
 * ResourceQuota: what a namespace may hold. The cost of a new object is added to the status of every quota that is about
 * it, on condition that nobody changed that status since, before the object is stored: so that of many at once no
 * more than allowed get through. What was charged for a write that then failed, the quota controller finds.
 */
import type { Client } from "../../../common/kube/client.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { compareQuantity } from "../../../common/kube/quantity.ts";
import type { Quantity } from "../../../common/kube/quantity.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Container, Pod } from "../../../common/kube/types.ts";
import { amountsOf, inWords, only, quantitiesOf, sum } from "../quota/amounts.ts";
import type { Quantities } from "../quota/amounts.ts";
import { COMPUTE, concerns } from "../quota/scopes.ts";
import type { ResourceQuota } from "../quota/scopes.ts";
import { usageOf } from "../quota/usage.ts";
import { groupResource } from "../resources/reader.ts";
import type { Reader } from "../resources/reader.ts";
import { forbid } from "./forbid.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

const QUOTAS = "resourcequotas";
const ATTEMPTS = 10;

export function resourceQuota(reader: Reader, client: () => Client): AdmissionPlugin {
  /** One charge at a time in a namespace: they would only refuse each other's writes. */
  const turns = new Map<string, Promise<void>>();

  async function inTurn(namespace: string, work: () => Promise<void>): Promise<void> {
    const before = turns.get(namespace) ?? Promise.resolve();
    const mine = before.then(work);
    const settled = mine.catch(() => undefined);
    turns.set(namespace, settled);
    try {
      await mine;
    } finally {
      if (turns.get(namespace) === settled) turns.delete(namespace);
    }
  }

  async function charge(
    request: AdmissionRequest,
    namespace: string,
    costs: ReadonlyMap<string, Quantity>,
  ): Promise<void> {
    const resource = groupResource(request.gvr);
    const charged = new Set<string>();
    for (let attempt = 1; ; attempt += 1) {
      const quotas: ResourceQuota[] = [];
      for (const { metadata } of reader.list(QUOTAS, namespace)) {
        const quota = (await reader.live(QUOTAS, namespace, metadata.name ?? "")) as ResourceQuota | undefined;
        if (
          quota &&
          !charged.has(quota.metadata.uid ?? "") &&
          concerns(quota, resource, request.object as KubeObject, costs)
        )
          quotas.push(quota);
      }
      for (const quota of quotas) check(request, quota, costs);
      if (request.dryRun) return;
      try {
        for (const quota of quotas) {
          await write(quota, costs);
          charged.add(quota.metadata.uid ?? "");
        }
        return;
      } catch (error) {
        if (!isStatus(error, "Conflict") || attempt >= ATTEMPTS) throw error;
      }
    }
  }

  async function write(quota: ResourceQuota, costs: ReadonlyMap<string, Quantity>): Promise<void> {
    const used = amountsOf(quota.status?.used);
    const next = only(sum(used, only(costs, boundedBy(quota, costs))), Object.keys(quota.status?.hard ?? {}));
    const { namespace = "", name = "" } = quota.metadata;
    await client().update({ group: "", version: "v1", resource: QUOTAS, namespace, name, subresource: "status" }, {
      ...quota,
      status: { ...quota.status, used: quantitiesOf(next) },
    } as KubeObject);
  }

  return {
    name: "ResourceQuota",
    async validate(request) {
      const { namespace, object, old, operation, subresource } = request;
      if (!namespace || !object || (operation !== "CREATE" && operation !== "UPDATE")) return;
      // Resizing a Pod is the one subresource that changes what it costs.
      if (subresource !== undefined && subresource !== "resize") return;
      if (reader.list(QUOTAS, namespace)[Symbol.iterator]().next().done) return;
      const resource = groupResource(request.gvr);
      const before = operation === "UPDATE" && old ? usageOf(resource, old) : new Map<string, Quantity>();
      const costs = new Map([...sum(usageOf(resource, object), before, -1n)].filter(([, { nano }]) => nano > 0n));
      if (operation === "UPDATE" && costs.size === 0) return;
      await inTurn(namespace, () => charge(request, namespace, costs));
    },
  };
}

function boundedBy(quota: ResourceQuota, costs: ReadonlyMap<string, Quantity>): string[] {
  return Object.keys(quota.spec?.hard ?? {}).filter((name) => costs.has(name));
}

/** Throws Forbidden, in Kubernetes' words. */
function check(request: AdmissionRequest, quota: ResourceQuota, costs: ReadonlyMap<string, Quantity>): void {
  const { name = "" } = quota.metadata;
  const hard = amountsOf(quota.status?.hard);
  const bounded = boundedBy(quota, costs);
  const unknown = bounded.filter((one) => !hard.has(one));
  if (unknown.length > 0)
    throw forbid(request, `status unknown for quota: ${name}, resources: ${unknown.toSorted().join(",")}`);
  if (request.operation === "CREATE" && groupResource(request.gvr) === "pods") {
    const missing = missingResources(request.object as Pod, [...hard.keys()]);
    if (missing !== "") throw forbid(request, `failed quota: ${name}: must specify ${missing}`);
  }
  const used = amountsOf(quota.status?.used);
  const after = sum(used, costs);
  const exceeded = bounded.filter((one) => compareQuantity(after.get(one) as Quantity, hard.get(one) as Quantity) > 0);
  if (exceeded.length > 0) {
    throw forbid(
      request,
      `exceeded quota: ${name}, requested: ${inWords(only(costs, exceeded))}, used: ${inWords(only(used, exceeded))}, limited: ${inWords(only(hard, exceeded))}`,
    );
  }
}

/** "limits.cpu for: web; memory for: web,side": where a quota bounds it, every container must say it. */
export function missingResources({ spec }: Pod, hard: readonly string[]): string {
  const pod = (spec as { resources?: { requests?: Quantities; limits?: Quantities } } | undefined)?.resources;
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])] as Container[];
  return hard
    .filter((name) => COMPUTE.has(name))
    .toSorted()
    .flatMap((name) => {
      const part = name.startsWith("limits.") ? "limits" : "requests";
      const resource = name.slice(name.indexOf(".") + 1);
      if (pod?.[part]?.[resource] !== undefined) return [];
      const silent = containers.filter(
        ({ resources }) => (resources?.[part] as Quantities | undefined)?.[resource] === undefined,
      );
      return silent.length > 0 ? [`${name} for: ${silent.map((container) => container.name).join(",")}`] : [];
    })
    .join("; ");
}
