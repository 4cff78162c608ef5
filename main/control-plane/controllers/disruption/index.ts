/** PodDisruptionBudgets: keeps their status, from which evictions are granted or refused. */
import type { Informer } from "../../../../common/kube/informer.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import { controllerOf } from "../kernel/ownership.ts";
import { decideBudget } from "./decide.ts";
import type { Budget } from "./decide.ts";

type Scaled = KubeObject & { spec?: { replicas?: number } };

export const disruptionController: ControllerDefinition = {
  name: "disruption-controller",
  concurrency: 2,
  setup({ client, informers, clock }, keys) {
    const budgets = follow(informers.for<Budget>(kinds.podDisruptionBudgets), keys);
    const pods = informers.for<Pod>(kinds.pods);
    const scaled = new Map<string, Informer<Scaled>>(
      [kinds.deployments, kinds.replicaSets, kinds.statefulSets, kinds.replicationControllers].map((kind) => [
        kind.kind,
        informers.for<Scaled>(kind),
      ]),
    );
    follow(pods, keys, ({ metadata }) =>
      budgets
        .list(metadata.namespace)
        .filter(({ spec }) => selectorFromObject(spec.selector).matches(metadata.labels))
        .map(objectKey),
    );
    for (const informer of scaled.values()) {
      informer.addHandler({
        update: (owner, old) => {
          if (owner.spec?.replicas !== old.spec?.replicas)
            for (const budget of budgets.list(owner.metadata.namespace)) keys.add(objectKey(budget));
        },
      });
    }

    /** The topmost owner that has a number of replicas: of a ReplicaSet its Deployment. */
    const ownerOf = (object: KubeObject): Scaled | undefined => {
      const reference = controllerOf(object);
      const owner = reference && scaled.get(reference.kind)?.get(`${object.metadata.namespace}/${reference.name}`);
      if (!owner || owner.metadata.uid !== reference.uid) return undefined;
      return ownerOf(owner) ?? owner;
    };

    return {
      async reconcile(key) {
        const budget = budgets.get(key);
        if (!budget || budget.metadata.deletionTimestamp !== undefined) return undefined;
        const selector = selectorFromObject(budget.spec.selector);
        const matching = pods
          .list(budget.metadata.namespace)
          .filter(({ metadata }) => selector.matches(metadata.labels));
        const owners = new Map(
          matching.map((pod) => ownerOf(pod)).flatMap((owner) => (owner ? [[owner.metadata.uid, owner] as const] : [])),
        );
        const scale =
          owners.size > 0 ? [...owners.values()].reduce((sum, { spec }) => sum + (spec?.replicas ?? 1), 0) : undefined;
        const { status, again } = decideBudget(budget, matching, scale, clock.now());
        await commit(client, kinds.podDisruptionBudgets, budget, { ...budget, status });
        return again === undefined ? undefined : { again };
      },
    };
  },
};
