/** Empties a namespace that was asked to go, whatever kinds live in it, and then lets it go. */
import { isStatus } from "../../../../common/kube/status.ts";
import type { Namespace } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow, text } from "../kernel/controller.ts";
import type { ControllerDefinition, ResourceInfo } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Condition } from "../kernel/pods.ts";
import { decideConditions } from "./decide.ts";
import type { Remains } from "./decide.ts";

const FINALIZER = "kubernetes";
/** How soon to look again while something is left: what holds it says nothing to us. */
const AGAIN_MILLIS = 500;
const AGAIN_WITH_FINALIZERS_MILLIS = 3000;
const PAGE = 500;

export const namespaceController: ControllerDefinition = {
  name: "namespace-controller",
  concurrency: 5,
  setup({ client, informers, clock, resources }, keys) {
    const namespaces = follow(informers.for<Namespace>(kinds.namespaces), keys);

    const empty = async (
      namespace: string,
      { group, version, resource }: ResourceInfo,
      remains: Remains,
    ): Promise<void> => {
      const name = group === "" ? resource : `${resource}.${group}`;
      try {
        let page: string | undefined;
        do {
          const list = await client.list(
            { group, version, resource },
            { namespace, limit: PAGE, ...(page ? { continue: page } : {}) },
          );
          page = list.metadata.continue || undefined;
          await Promise.all(
            list.items
              .map(async (object) => {
                const ref = { group, version, resource, namespace, name: object.metadata.name ?? "" };
                const there =
                  object.metadata.deletionTimestamp === undefined
                    ? await client.delete(ref, { propagationPolicy: "Background" })
                    : object;
                if (!there?.metadata?.deletionTimestamp) return;
                remains.counts.set(name, (remains.counts.get(name) ?? 0) + 1);
                for (const finalizer of there.metadata.finalizers ?? [])
                  remains.finalizers.set(finalizer, (remains.finalizers.get(finalizer) ?? 0) + 1);
              })
              .map((one) =>
                one.catch((error: unknown) => {
                  if (!isStatus(error, "NotFound")) throw error;
                }),
              ),
          );
        } while (page);
      } catch (error) {
        // A resource that nobody serves any more holds nothing.
        if (isStatus(error, "NotFound", "MethodNotAllowed")) return;
        remains.failures.push(`${name}: ${text(error)}`);
      }
    };

    return {
      async reconcile(key) {
        let namespace = namespaces.get(key);
        if (namespace?.metadata.deletionTimestamp === undefined) return undefined;
        const finalizers = namespace.spec?.finalizers ?? [];
        if (!finalizers.includes(FINALIZER)) return undefined;
        if (namespace.status?.phase !== "Terminating") {
          namespace = await commit(client, kinds.namespaces, namespace, {
            ...namespace,
            status: { ...namespace.status, phase: "Terminating" },
          });
        }
        const remains: Remains = { counts: new Map(), finalizers: new Map(), failures: [] };
        for (const info of resources()) {
          if (info.namespaced && info.verbs.includes("delete") && info.verbs.includes("list"))
            await empty(key, info, remains);
        }
        const before = (namespace.status?.conditions ?? []) as Condition[];
        if (remains.counts.size > 0 || remains.failures.length > 0 || before.length > 0) {
          const conditions = decideConditions(before, remains, clock.now()) as NonNullable<
            NonNullable<Namespace["status"]>["conditions"]
          >;
          namespace = await commit(client, kinds.namespaces, namespace, {
            ...namespace,
            status: { ...namespace.status, conditions },
          });
        }
        if (remains.failures.length > 0) throw new Error(remains.failures.join("; "));
        if (remains.counts.size > 0)
          return { again: remains.finalizers.size > 0 ? AGAIN_WITH_FINALIZERS_MILLIS : AGAIN_MILLIS };
        const { group, version, resource } = kinds.namespaces;
        const spec = { ...namespace.spec, finalizers: finalizers.filter((name) => name !== FINALIZER) };
        try {
          await client.update({ group, version, resource, name: key, subresource: "finalize" }, { ...namespace, spec });
        } catch (error) {
          if (!isStatus(error, "NotFound")) throw error;
        }
        return undefined;
      },
    };
  },
};
