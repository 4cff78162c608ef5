/**
 * The garbage collector: deletes objects whose owners are gone (background), holds owners until their
 * dependents are gone (foreground), or sets dependents free first (orphan). It follows the metadata of every
 * resource the API server serves, those that come later too.
 */
import type { DeleteOptions, ObjectRef } from "../../../../common/kube/client.ts";
import type { Timer } from "../../../../common/kube/clock.ts";
import type { Informer } from "../../../../common/kube/informer.ts";
import { parseApiVersion } from "../../../../common/kube/object.ts";
import type { KubeObject, OwnerReference } from "../../../../common/kube/object.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { ControllerDefinition, ResourceInfo } from "../kernel/controller.ts";
import { FOREGROUND, ORPHAN, OwnerGraph, judge } from "./graph.ts";
import type { GraphNode, OwnerState } from "./graph.ts";

/** How often the list of resources is looked at for new ones. */
const DISCOVER_MILLIS = 5000;
const UNKNOWN_KIND_MILLIS = 30_000;
/** Owners known to be absent; bounded. */
const MOST_ABSENT = 500;
/** Nobody owns by them or is owned as one, and there are many. */
const IGNORED = new Set(["events", "events.events.k8s.io"]);

/** Everything the graph needs of an object. */
function onlyMetadata(object: KubeObject): KubeObject {
  const {
    name = "",
    namespace,
    uid = "",
    resourceVersion = "",
    ownerReferences,
    finalizers,
    deletionTimestamp,
  } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      uid,
      resourceVersion,
      ...(namespace === undefined ? {} : { namespace }),
      ...(ownerReferences ? { ownerReferences } : {}),
      ...(finalizers ? { finalizers } : {}),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
  };
}

export const garbageCollector: ControllerDefinition = {
  name: "garbage-collector-controller",
  concurrency: 20,
  setup({ client, informers, clock, events, resources }, keys) {
    const graph = new OwnerGraph();
    const followed = new Map<string, { informer: Informer; remove: () => void }>();
    const absent = new Set<string>();
    /** Dependents and owners of which the event was recorded; bounded. */
    const told = new Set<string>();
    let timer: Timer | undefined;

    const addAll = (uids: Iterable<string>): void => {
      for (const uid of uids) keys.add(uid);
    };
    const followResource = (info: ResourceInfo): void => {
      const { group, version, resource } = info;
      const gvr = { group, version, resource };
      const id = group === "" ? resource : `${resource}.${group}`;
      if (
        followed.has(id) ||
        IGNORED.has(id) ||
        !["list", "watch", "delete"].every((verb) => info.verbs.includes(verb))
      )
        return;
      // What others hold in full is shared with them; of the rest only metadata is kept.
      const informer = informers.existing(gvr) ?? informers.for(gvr, { transform: onlyMetadata });
      const put = (object: KubeObject): void => {
        absent.delete(object.metadata.uid ?? "");
        addAll(
          graph.put(gvr, {
            ...object,
            apiVersion: object.apiVersion || apiVersionOf(info),
            kind: object.kind || info.kind,
          }),
        );
      };
      const remove = informer.addHandler({
        add: put,
        update: put,
        delete: (object) => addAll(graph.remove(object.metadata.uid ?? "")),
      });
      followed.set(id, { informer, remove });
    };
    const discover = (): void => {
      timer = clock.after(DISCOVER_MILLIS, discover);
      for (const info of resources()) followResource(info);
    };

    // What others follow in full is heard from its beginning: told of it all later, at once, would be long.
    for (const info of resources()) if (informers.existing(info)) followResource(info);

    const refOf = (node: GraphNode): ObjectRef => ({
      ...node.gvr,
      ...(node.namespace === undefined ? {} : { namespace: node.namespace }),
      name: node.name,
    });
    const infoOf = (owner: OwnerReference): ResourceInfo | undefined => {
      const { group } = parseApiVersion(owner.apiVersion);
      const same = resources().filter(
        (info) => info.group === group && info.kind === owner.kind && !info.resource.includes("/"),
      );
      return same.find((info) => info.version === parseApiVersion(owner.apiVersion).version) ?? same[0];
    };

    /** Owners are of the dependent's own namespace, or of none: whoever names another is told, once. */
    const misplaced = (dependent: GraphNode, { apiVersion, kind, name, uid }: OwnerReference): void => {
      const { namespace = "" } = dependent;
      const pair = `${dependent.uid} ${uid}`;
      if (told.has(pair)) return;
      told.add(pair);
      if (told.size > MOST_ABSENT) told.delete(told.values().next().value as string);
      events.record(
        dependentReference(dependent),
        "Warning",
        "OwnerRefInvalidNamespace",
        `ownerRef [${apiVersion}/${kind}, namespace: ${namespace}, name: ${name}, uid: ${uid}] does not exist in namespace "${namespace}"`,
      );
    };

    const stateOf = async (dependent: GraphNode, owner: OwnerReference): Promise<OwnerState | "unknown"> => {
      const node = graph.get(owner.uid);
      const seen = node && !node.virtual ? node : undefined;
      const elsewhere = seen?.namespace !== undefined && seen.namespace !== dependent.namespace;
      if (seen && !elsewhere)
        return seen.deleting && seen.finalizers.includes(FOREGROUND) ? "waiting for dependents" : "alive";
      if (elsewhere) misplaced(dependent, owner);
      const info = infoOf(owner);
      if (!info) return absent.has(owner.uid) ? "gone" : "unknown";
      if (info.namespaced && dependent.namespace === undefined) {
        misplaced(dependent, owner);
        return "unknown";
      }
      if (absent.has(owner.uid)) return "gone";
      try {
        const { group, version, resource } = info;
        const there = await client.get({
          group,
          version,
          resource,
          ...(info.namespaced ? { namespace: dependent.namespace ?? "" } : {}),
          name: owner.name,
        });
        if (there.metadata.uid === owner.uid)
          return there.metadata.deletionTimestamp !== undefined && there.metadata.finalizers?.includes(FOREGROUND)
            ? "waiting for dependents"
            : "alive";
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
      // One of another namespace is there for those beside it.
      if (elsewhere) return "gone";
      absent.add(owner.uid);
      if (absent.size > MOST_ABSENT) absent.delete(absent.values().next().value as string);
      return "gone";
    };

    const setMetadata = async (node: GraphNode, change: (live: KubeObject) => object | undefined): Promise<void> => {
      try {
        const live = await client.get(refOf(node));
        const metadata = live.metadata.uid === node.uid ? change(live) : undefined;
        if (!metadata) return;
        const { uid, resourceVersion } = live.metadata;
        await client.patch(refOf(node), "application/merge-patch+json", {
          metadata: { uid, resourceVersion, ...metadata },
        });
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    };
    const removeFinalizer = (node: GraphNode, name: string): Promise<void> =>
      setMetadata(node, ({ metadata }) =>
        metadata.finalizers?.includes(name)
          ? { finalizers: metadata.finalizers.filter((one) => one !== name) }
          : undefined,
      );
    const unlink = (node: GraphNode, owners: readonly string[]): Promise<void> =>
      setMetadata(node, ({ metadata }) => {
        const left = (metadata.ownerReferences ?? []).filter(({ uid }) => !owners.includes(uid));
        return left.length === (metadata.ownerReferences ?? []).length
          ? undefined
          : { ownerReferences: left.length > 0 ? left : null };
      });
    const unblock = (node: GraphNode, owner: string): Promise<void> =>
      setMetadata(node, ({ metadata }) => ({
        ownerReferences: (metadata.ownerReferences ?? []).map((one) =>
          one.uid === owner ? { ...one, blockOwnerDeletion: false } : one,
        ),
      }));
    const remove = async (
      node: GraphNode,
      propagationPolicy: NonNullable<DeleteOptions["propagationPolicy"]>,
    ): Promise<void> => {
      try {
        await client.delete(refOf(node), { propagationPolicy, preconditions: { uid: node.uid } });
      } catch (error) {
        // A conflict says that our copy is old, or nothing but that somebody wrote it at that moment: looked at again.
        if (!isStatus(error, "NotFound")) throw error;
      }
    };

    return {
      started: discover,
      stop: () => {
        timer?.cancel();
        for (const one of followed.values()) one.remove();
      },
      async reconcile(uid) {
        const node = graph.get(uid);
        if (!node || node.virtual) return undefined;
        if (node.deleting && node.finalizers.includes(ORPHAN)) {
          await Promise.all([...node.dependents].map((dependent) => unlink(dependent, [uid])));
          await removeFinalizer(node, ORPHAN);
          return undefined;
        }
        if (node.deleting && node.finalizers.includes(FOREGROUND)) {
          const blocking = [...node.dependents].filter((dependent) =>
            dependent.owners.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true),
          );
          if (blocking.length === 0) await removeFinalizer(node, FOREGROUND);
          else for (const dependent of node.dependents) if (!dependent.deleting) keys.add(dependent.uid);
          return undefined;
        }
        if (node.deleting) return undefined;
        const states = new Map<string, OwnerState | "unknown">();
        for (const owner of node.owners) states.set(owner.uid, await stateOf(node, owner));
        // A kind nobody serves (yet): nothing can be said of the owner, so nothing is done.
        if ([...states.values()].includes("unknown")) return { again: UNKNOWN_KIND_MILLIS };
        const verdict = judge(node, (owner) => states.get(owner.uid) as OwnerState, node.dependents.size > 0);
        if (verdict.do === "delete" && verdict.policy === "Foreground") {
          // Two that own each other would wait for each other for ever: one of them lets go.
          for (const dependent of node.dependents)
            if (dependent.deleting && dependent.finalizers.includes(FOREGROUND)) await unblock(dependent, uid);
        }
        if (verdict.do === "delete") await remove(node, verdict.policy);
        else if (verdict.do === "unlink") await unlink(node, verdict.owners);
        return undefined;
      },
    };
  },
};

function apiVersionOf({ group, version }: ResourceInfo): string {
  return group === "" ? version : `${group}/${version}`;
}

function dependentReference({ apiVersion, kind, name, uid, namespace }: GraphNode): {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  namespace?: string;
} {
  return { apiVersion, kind, name, uid, ...(namespace === undefined ? {} : { namespace }) };
}
