/** PodDisruptionBudgets: keeps their status, from which evictions are granted or refused. */
import type { Informer } from "../../../../common/kube/informer.ts";
import { timestamp } from "../../../../common/kube/clock.ts";
import { objectKey, parseApiVersion } from "../../../../common/kube/object.ts";
import type { KubeObject, OwnerReference } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import { controllerOf } from "../kernel/ownership.ts";
import { goSelector } from "../kernel/go-format.ts";
import { decideBudget, failedStatus, needsScale, untilStale } from "./decide.ts";
import type { Budget } from "./decide.ts";

const OF_POD = "pod ";

type Scaled = KubeObject & { spec?: { replicas?: number } };

export const disruptionController: ControllerDefinition = {
  name: "disruption-controller",
  eventSource: "controllermanager",
  concurrency: 2,
  setup({ client, informers, clock, events, resources }, keys) {
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

    // Marked for a disruption that may never come.
    const marked = (pod: Pod): void => {
      const left = untilStale(pod, clock.now());
      if (left !== undefined) keys.addAfter(`${OF_POD}${objectKey(pod)}`, Math.max(1, left));
    };
    pods.addHandler({ add: marked, update: marked });

    const unmark = async (key: string): Promise<void> => {
      const pod = pods.get(key);
      const left = pod && untilStale(pod, clock.now());
      if (!pod || left === undefined) return;
      if (left > 0) return keys.addAfter(`${OF_POD}${key}`, left);
      const conditions = (pod.status?.conditions ?? []).map((one) =>
        one.type === "DisruptionTarget"
          ? { type: one.type, status: "False" as const, lastTransitionTime: timestamp(clock.now()) }
          : one,
      );
      await commit(client, kinds.pods, pod, { ...pod, status: { ...pod.status, conditions } } as Pod);
    };

    /** The topmost owner that has a number of replicas: of a ReplicaSet its Deployment. */
    const knownOwner = (object: KubeObject): Scaled | undefined => {
      const reference = controllerOf(object);
      const owner = reference && scaled.get(reference.kind)?.get(`${object.metadata.namespace}/${reference.name}`);
      if (!owner || owner.metadata.uid !== reference.uid) return undefined;
      return knownOwner(owner) ?? owner;
    };

    /** Of any other owner its scale says how many there should be; some kinds have none. */
    const askedScale = async (pod: Pod, owner: OwnerReference): Promise<number> => {
      const { group } = parseApiVersion(owner.apiVersion);
      const info = resources().find((one) => one.group === group && one.kind === owner.kind);
      const none = `found no controllers for pod "${pod.metadata.name}"`;
      if (!info) throw new Unknown(none);
      const { version, resource } = info;
      const ref = { group, version, resource, namespace: pod.metadata.namespace ?? "", name: owner.name };
      try {
        const scale = await client.get<Scaled>({ ...ref, subresource: "scale" });
        if (scale.metadata.uid !== undefined && scale.metadata.uid !== owner.uid) throw new Unknown(none);
        return scale.spec?.replicas ?? 0;
      } catch (error) {
        if (!isStatus(error, "NotFound", "MethodNotAllowed")) throw error;
        throw new Unknown(`${group ? `${resource}.${group}` : resource} does not implement the scale subresource`);
      }
    };

    const scaleOf = async (matching: readonly Pod[]): Promise<{ scale: number; unmanaged: number }> => {
      const scales = new Map<string, number>();
      let unmanaged = 0;
      for (const pod of matching) {
        const reference = controllerOf(pod);
        const owner = knownOwner(pod);
        if (!reference) unmanaged += 1;
        else if (owner) scales.set(owner.metadata.uid ?? "", owner.spec?.replicas ?? 1);
        else if (!scales.has(reference.uid)) scales.set(reference.uid, await askedScale(pod, reference));
      }
      return { scale: [...scales.values()].reduce((sum, one) => sum + one, 0), unmanaged };
    };

    return {
      async reconcile(key) {
        if (key.startsWith(OF_POD)) return unmark(key.slice(OF_POD.length));
        const budget = budgets.get(key);
        if (!budget || budget.metadata.deletionTimestamp !== undefined) return undefined;
        const selector = selectorFromObject(budget.spec.selector);
        const matching = pods
          .list(budget.metadata.namespace)
          .filter(({ metadata }) => selector.matches(metadata.labels));
        let counted = { scale: 0, unmanaged: 0 };
        try {
          if (needsScale(budget)) counted = await scaleOf(matching);
        } catch (error) {
          if (!(error instanceof Unknown)) throw error;
          const status = failedStatus(budget, error.message, clock.now());
          const written = await commit(client, kinds.podDisruptionBudgets, budget, { ...budget, status });
          const what = `Failed to calculate the number of expected pods: ${error.message}`;
          if (written !== budget) events.record(budget, "Warning", "CalculateExpectedPodCountFailed", what);
          return undefined;
        }
        const { status, again, notDeleted } = decideBudget(budget, matching, counted.scale, clock.now());
        const written = await commit(client, kinds.podDisruptionBudgets, budget, { ...budget, status });
        if (written !== budget && matching.length === 0)
          events.record(budget, "Normal", "NoPods", "No matching pods found");
        if (written !== budget && counted.unmanaged > 0)
          events.record(budget, "Warning", "UnmanagedPods", unmanagedMessage(budget.spec.selector));
        for (const pod of notDeleted)
          events.record(pod, "Warning", "NotDeleted", `Pod was expected by PDB ${key} to be deleted but it wasn't`);
        return again === undefined ? undefined : { again };
      },
    };
  },
};

/** Why nobody can say how many Pods there should be. */
class Unknown extends Error {}

function unmanagedMessage(selector: LabelSelectorObject | undefined): string {
  return `Pods selected by this PodDisruptionBudget (selector: ${goSelector(selector)}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`;
}
