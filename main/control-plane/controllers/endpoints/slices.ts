/** Writing a Service's endpoints into the EndpointSlices of one manager. */
import type { KubeObject, OwnerReference } from "../../../../common/kube/object.ts";
import type { Informer } from "../../../../common/kube/informer.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { EndpointSlice } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerContext, Keys } from "../kernel/controller.ts";
import type { Expectations } from "../kernel/expectations.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Kind } from "../kernel/kinds.ts";
import { layOut } from "./decide.ts";
import type { EndpointGroup, SliceContent } from "./decide.ts";

export const SERVICE_NAME = "kubernetes.io/service-name";
export const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
export const LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time";

/** Finds the manager's slices by the key of their Service, and adds that key when one changes. */
export function bySlices(
  informer: Informer<EndpointSlice>,
  manager: string,
  keys: Keys,
): (key: string) => EndpointSlice[] {
  const keysOf = ({ metadata }: EndpointSlice): string[] => {
    const { [SERVICE_NAME]: service, [MANAGED_BY]: by } = metadata.labels ?? {};
    return service !== undefined && by === manager ? [`${metadata.namespace}/${service}`] : [];
  };
  const index = `service of ${manager}`;
  informer.addIndex(index, keysOf);
  follow(informer, keys, keysOf);
  return (key) => informer.byIndex(index, key);
}

export async function removeObject(
  { client }: Pick<ControllerContext, "client">,
  kind: Kind,
  object: KubeObject,
): Promise<void> {
  const { group, version, resource } = kind;
  const { namespace = "", name = "", uid = "" } = object.metadata;
  try {
    await client.delete({ group, version, resource, namespace, name }, { preconditions: { uid } });
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
  }
}

export interface SliceWrite {
  context: Pick<ControllerContext, "client">;
  key: string;
  expectations: Expectations;
  informer: Informer<EndpointSlice>;
  /** The manager's slices as they are. */
  mine: readonly EndpointSlice[];
  groups: readonly EndpointGroup[];
  /** Whose namespace and name new slices get. */
  owner: KubeObject;
  labels: Record<string, string>;
  /** Of new slices. */
  annotations: Record<string, string>;
  reference: OwnerReference | undefined;
}

export async function writeSlices(write: SliceWrite): Promise<void> {
  const { context, key, expectations, informer, mine, groups, labels } = write;
  const { client } = context;
  const plan = layOut(
    groups,
    mine.map((slice) => ({ slice, content: canonical(slice as unknown as SliceContent) })),
  );
  const updates = new Map(plan.update.map(({ slice, content }) => [slice, content]));
  for (const slice of mine) {
    if (plan.remove.includes(slice)) continue;
    const next = { ...slice, metadata: { ...slice.metadata, labels }, ...updates.get(slice) } as EndpointSlice;
    const written = await commit(client, kinds.endpointSlices, slice, next);
    if (written !== slice) expectations.written(key, informer, written);
  }
  for (const content of plan.create) {
    const { group, version, resource } = kinds.endpointSlices;
    const { namespace = "", name = "" } = write.owner.metadata;
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        generateName: `${name}-`,
        namespace,
        labels,
        ...(Object.keys(write.annotations).length > 0 ? { annotations: write.annotations } : {}),
        ...(write.reference ? { ownerReferences: [write.reference] } : {}),
      },
      ...content,
    };
    try {
      const ref = { group, version, resource, namespace, name: "" };
      expectations.written(key, informer, await client.create(ref, slice));
    } catch (error) {
      // The namespace is going away.
      if (!isStatus(error, "Forbidden")) throw error;
    }
  }
  for (const slice of plan.remove) {
    await removeObject(context, kinds.endpointSlices, slice);
    expectations.deleted(key, informer, slice);
  }
}

/** The API leaves out empty strings and false; comparing needs them back. */
function canonical({ addressType, ports = [], endpoints = [] }: Partial<SliceContent>): SliceContent {
  return {
    addressType: addressType ?? "",
    ports: ports.map(({ name, port, protocol, appProtocol }) => ({
      name: name ?? "",
      ...(port === undefined ? {} : { port }),
      protocol: protocol ?? "TCP",
      ...(appProtocol === undefined ? {} : { appProtocol }),
    })),
    endpoints: endpoints.map(({ addresses, conditions, hostname, nodeName, zone, hints, targetRef }) => ({
      addresses,
      conditions: {
        ready: conditions?.ready ?? false,
        serving: conditions?.serving ?? false,
        terminating: conditions?.terminating ?? false,
      },
      ...(hostname === undefined ? {} : { hostname }),
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(zone === undefined ? {} : { zone }),
      ...(hints === undefined ? {} : { hints }),
      ...(targetRef === undefined
        ? {}
        : {
            targetRef: {
              kind: targetRef.kind,
              namespace: targetRef.namespace ?? "",
              name: targetRef.name ?? "",
              uid: targetRef.uid ?? "",
            },
          }),
    })),
  };
}
