/** pods/eviction: a delete that asks the PodDisruptionBudgets first. */
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import type { Client, DeleteOptions, ObjectRef } from "../../../../common/kube/client.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import { isStatus, StatusError } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import type { VirtualHandler } from "./handler.ts";
import { success } from "./handler.ts";

type Budget = KubeObject & Pick<IPodDisruptionBudget, "spec" | "status">;

const pods = { group: "", version: "v1", resource: "pods" } as const;
const budgets = { group: "policy", version: "v1", resource: "poddisruptionbudgets" } as const;
/** Writes to one budget meet; each loser reads it again. */
const attempts = 10;

const TARGET = {
  type: "DisruptionTarget",
  status: "True",
  reason: "EvictionByEvictionAPI",
  message: "Eviction API: evicting",
} as const;

/** Pods that no budget can keep: they do not count among the healthy. */
export function needsNoBudget(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return (
    phase === "Succeeded" || phase === "Failed" || phase === "Pending" || pod.metadata.deletionTimestamp !== undefined
  );
}

/** The budget with one disruption taken. Throws TooManyRequests when there is none to take. Pure. */
export function takeDisruption(budget: Budget, pod: Pod, now: Date): Budget {
  const { name = "", generation = 0 } = budget.metadata;
  const status = budget.status;
  // Without a time to wait it is for the client to decide; with one, client libraries wait and ask again by themselves.
  const tooMany = (why: string, retryAfterSeconds?: number): StatusError =>
    new StatusError("TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      causes: [{ reason: "DisruptionBudget", message: why }],
    });
  if ((status?.observedGeneration ?? 0) < generation) {
    throw tooMany(`The disruption budget ${name} is still being processed by the server.`, 10);
  }
  const allowed = status?.disruptionsAllowed ?? 0;
  if (allowed < 0) throw new StatusError("Forbidden", "pdb disruptions allowed is negative");
  if (allowed === 0) {
    throw tooMany(
      `The disruption budget ${name} needs ${status?.desiredHealthy ?? 0} healthy pods and has ${status?.currentHealthy ?? 0} currently`,
    );
  }
  const disrupted = { ...(status?.disruptedPods as Record<string, unknown> | undefined) };
  disrupted[pod.metadata.name ?? ""] = `${now.toISOString().slice(0, 19)}Z`;
  return {
    ...budget,
    status: { ...status, disruptionsAllowed: allowed - 1, disruptedPods: disrupted },
  } as unknown as Budget;
}

/**
 * `unadmitted`: marks and deletes the Pod. Admission has been asked about the eviction, and is not asked about what
 * follows from it.
 */
export function evictionHandler(
  client: Client,
  now: () => Date = () => new Date(),
  unadmitted: Pick<Client, "delete" | "patch"> = client,
): VirtualHandler {
  async function askBudgets(pod: Pod, namespace: string, dryRun: boolean): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const { items } = await client.list<Budget>(budgets, { namespace });
      const matching = items.filter((budget) =>
        selectorFromObject(budget.spec?.selector as LabelSelectorObject | undefined).matches(pod.metadata.labels),
      );
      const [budget] = matching;
      if (!budget) return;
      if (matching.length > 1) {
        throw new StatusError(
          "InternalError",
          "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        );
      }
      const ready = pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
      const { currentHealthy = 0, desiredHealthy = 0 } = budget.status ?? {};
      const free =
        budget.spec?.unhealthyPodEvictionPolicy === "AlwaysAllow" ||
        (currentHealthy >= desiredHealthy && desiredHealthy > 0);
      if (!ready && free) return;
      const taken = takeDisruption(budget, pod, now());
      try {
        const ref = { ...budgets, namespace, name: budget.metadata.name ?? "", subresource: "status" };
        await client.update(ref, taken, { dryRun });
        return;
      } catch (error) {
        if (!isStatus(error, "Conflict") || attempt >= attempts) throw error;
      }
    }
  }

  /** Says of a Pod that it did not end by itself: Jobs, for one, may not count it as failed. */
  async function mark(given: Pod, ref: ObjectRef): Promise<void> {
    let pod = given;
    for (let attempt = 0; ; attempt += 1) {
      const { uid, resourceVersion } = pod.metadata;
      const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "DisruptionTarget");
      const lastTransitionTime = `${now().toISOString().slice(0, 19)}Z`;
      const patch = {
        metadata: { uid, resourceVersion },
        status: { conditions: [...others, { ...TARGET, lastTransitionTime }] },
      };
      try {
        await unadmitted.patch({ ...ref, subresource: "status" }, "application/merge-patch+json", patch);
        return;
      } catch (error) {
        if (!isStatus(error, "Conflict") || attempt >= attempts) throw error;
        pod = await client.get<Pod>(ref);
        // Another of its name: the delete is going to say so.
        if (pod.metadata.uid !== uid) return;
      }
    }
  }

  return async (object, { namespace = "", name = "", dryRun }) => {
    const given = object.metadata?.name;
    if (given !== undefined && given !== name) {
      throw new StatusError("BadRequest", "name in URL does not match name in Eviction object");
    }
    const options = (object["deleteOptions"] ?? {}) as DeleteOptions & { dryRun?: string[] | boolean };
    const dry = dryRun || (Array.isArray(options.dryRun) && options.dryRun.includes("All"));
    const ref = { ...pods, namespace, name };
    const pod = await client.get<Pod>(ref);
    if (!needsNoBudget(pod)) await askBudgets(pod, namespace, dry);
    const { gracePeriodSeconds, propagationPolicy, preconditions } = options;
    if (!dry) await mark(pod, ref);
    await unadmitted.delete(ref, {
      dryRun: dry,
      preconditions: { ...(pod.metadata.uid ? { uid: pod.metadata.uid } : {}), ...preconditions },
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    });
    return success();
  };
}
