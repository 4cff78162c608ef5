/**
 * Counts what a namespace holds and writes it into the status of its quotas. Admission raises that status for each
 * new object; this puts it right: after changes of the quota, after ends of what it counts, and now and then.
 */
import type { Informer } from "../../../../common/kube/informer.ts";
import type { Client } from "../../../../common/kube/client.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import { compareQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import type { Quantity } from "../../../../common/kube/quantity.ts";
import type { PersistentVolumeClaim, Pod, Service } from "../../../../common/kube/types.ts";
import { amountsOf, only, quantitiesOf, sum } from "../../quota/amounts.ts";
import { inScope } from "../../quota/scopes.ts";
import type { ResourceQuota } from "../../quota/scopes.ts";
import { COUNTED_BY_NAME, isOver, usageOf } from "../../quota/usage.ts";
import { commit, equal } from "../kernel/committer.ts";
import type { ControllerDefinition, ResourceInfo } from "../kernel/controller.ts";
import { kinds, splitKey } from "../kernel/kinds.ts";

/** What was charged must have been stored (or have failed) before a lower count is believed. */
const BELIEVE_MILLIS = 1_000;
/** A charge for what was then not stored stays so long. */
const RECOUNT_MILLIS = 10_000;

export const resourceQuotaController: ControllerDefinition = {
  name: "resourcequota-controller",
  concurrency: 2,
  setup({ client, informers, clock, resources }, keys) {
    const quotas = informers.for<ResourceQuota>(kinds.resourceQuotas);
    const doubted = new Map<string, { resourceVersion: string | undefined; at: number }>();
    quotas.addHandler({
      add: (quota) => keys.add(objectKey(quota)),
      update: (quota, old) => {
        const changed = !equal(quota.spec, old.spec) || !equal(quota.status?.hard, old.status?.hard);
        if (changed) keys.add(objectKey(quota));
        else keys.addAfter(objectKey(quota), RECOUNT_MILLIS);
      },
      delete: (quota) => void doubted.delete(objectKey(quota)),
    });
    const freed = ({ metadata }: KubeObject): void => {
      for (const quota of quotas.list(metadata.namespace)) keys.add(objectKey(quota));
    };
    informers.for<Pod>(kinds.pods).addHandler({
      update: (pod, old) => {
        if (isOver(pod) && !isOver(old)) freed(pod);
      },
      delete: freed,
    });
    for (const informer of [
      informers.for<Service>(kinds.services),
      informers.for<PersistentVolumeClaim>(kinds.persistentVolumeClaims),
    ] as Informer<KubeObject>[]) {
      informer.addHandler({
        update: (object, old) => {
          if (!equal(object["spec"], old["spec"])) freed(object);
        },
        delete: freed,
      });
    }

    return {
      async reconcile(key) {
        const { namespace = "", name } = splitKey(key);
        if (!quotas.get(key)) return undefined;
        // Not the informer's, which may be behind admission: a count older than a charge would undo it.
        const { group, version, resource } = kinds.resourceQuotas;
        const quota = await client.get<ResourceQuota>({ group, version, resource, namespace, name });
        const hard = quota.spec?.hard ?? {};
        const counted = await count(client, quota, namespace, resources());
        const used = amountsOf(quota.status?.used);
        const isLower = [...counted].some(([one, quantity]) => {
          const before = used.get(one);
          return before !== undefined && compareQuantity(quantity, before) < 0;
        });
        const known = equal(quota.status?.hard, hard);
        const now = clock.monotonic();
        const { resourceVersion } = quota.metadata;
        const doubt = doubted.get(key);
        const same = doubt?.resourceVersion === resourceVersion ? doubt : undefined;
        if (known && isLower && !(same && now - same.at >= BELIEVE_MILLIS)) {
          if (!same) doubted.set(key, { resourceVersion, at: now });
          return { again: BELIEVE_MILLIS };
        }
        doubted.delete(key);
        await commit(client, kinds.resourceQuotas, quota, {
          ...quota,
          status: { ...quota.status, hard, used: quantitiesOf(counted) },
        });
        return isFollowed(hard) ? undefined : { again: RECOUNT_MILLIS };
      },
    };
  },
};

/** Whether we hear of every end of what it counts. */
function isFollowed(hard: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(hard).every(
    (name) => /^count\/(pods|services|persistentvolumeclaims)$/.test(name) || !counts(name),
  );
}

/** "deployments.apps" of "count/deployments.apps"; "secrets" of "secrets". Counted one by one, by the API. */
function counts(name: string): string | undefined {
  if (name.startsWith("count/")) return name.slice("count/".length);
  return COUNTED_BY_NAME.has(name) && !WEIGHED.includes(name) ? name : undefined;
}

/** Objects that must be looked into to know what they cost. */
const WEIGHED = ["pods", "services", "persistentvolumeclaims"];

async function count(
  client: Client,
  quota: ResourceQuota,
  namespace: string,
  resources: readonly ResourceInfo[],
): Promise<Map<string, Quantity>> {
  const names = Object.keys(quota.spec?.hard ?? {});
  let total = new Map<string, Quantity>();
  for (const resource of WEIGHED) {
    const { items } = await client.list({ group: "", version: "v1", resource }, { namespace });
    for (const object of items) if (inScope(quota, resource, object)) total = sum(total, usageOf(resource, object));
  }
  for (const name of names) {
    const counted = counts(name);
    if (counted === undefined || total.has(name)) continue;
    const info = resources.find(({ group, resource }) => (group ? `${resource}.${group}` : resource) === counted);
    if (!info) continue;
    const { group, version, resource } = info;
    const { items, metadata } = await client.list({ group, version, resource }, { namespace, limit: 1 });
    total.set(name, parseQuantity(items.length + (metadata.remainingItemCount ?? 0)));
  }
  return only(total, names);
}
