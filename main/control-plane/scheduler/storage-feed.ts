/** Keeps the scheduler's picture of storage up to date, and tells who waits for a change of it. */
import type { Informer, InformerFactory } from "../../../common/kube/informer.ts";
import { objectKey } from "../../../common/kube/object.ts";
import type { GroupVersionResource, KubeObject } from "../../../common/kube/object.ts";
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from "../../../common/kube/types.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import type { CSIDriver, CSINode, CSIStorageCapacity, Volumes } from "./volumes.ts";

const storage = (resource: string): GroupVersionResource => ({ group: "storage.k8s.io", version: "v1", resource });

export interface StorageFeed {
  synced: Promise<void>;
  stop(): void;
}

export interface StorageFeedOptions {
  informers: InformerFactory;
  volumes: Volumes;
  /** Kinds that the server does not know are not asked for. */
  served(gvr: GroupVersionResource): boolean;
  changed(resource: string, object: KubeObject): void;
}

export function feedStorage({ informers, volumes, served, changed }: StorageFeedOptions): StorageFeed {
  const removals: (() => void)[] = [];
  const all: Informer[] = [];
  const into = <T extends KubeObject>(gvr: GroupVersionResource, map: Map<string, T>): void => {
    if (!served(gvr)) return;
    const informer = informers.for<T>(gvr);
    const put = (object: T): void => {
      map.set(objectKey(object), object);
      changed(gvr.resource, object);
    };
    const remove = (object: T): void => {
      map.delete(objectKey(object));
      changed(gvr.resource, object);
    };
    removals.push(informer.addHandler({ add: put, update: put, delete: remove }));
    all.push(informer as unknown as Informer);
  };
  into<PersistentVolumeClaim & KubeObject>(
    kinds.persistentVolumeClaims,
    volumes.claims as Map<string, PersistentVolumeClaim & KubeObject>,
  );
  into<PersistentVolume & KubeObject>(
    kinds.persistentVolumes,
    volumes.volumes as Map<string, PersistentVolume & KubeObject>,
  );
  into<StorageClass & KubeObject>(kinds.storageClasses, volumes.classes as Map<string, StorageClass & KubeObject>);
  into<CSINode>(storage("csinodes"), volumes.csiNodes);
  into<CSIDriver>(storage("csidrivers"), volumes.csiDrivers);
  into<CSIStorageCapacity>(storage("csistoragecapacities"), volumes.capacities);
  return {
    synced: Promise.all(all.map((informer) => informer.synced)).then(() => undefined),
    stop: () => {
      for (const remove of removals) remove();
    },
  };
}
