/** EndpointSlices and the older Endpoints: the addresses behind each Service that has a selector. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { selectorFromMap } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { EndpointSlice, Endpoints, Node, Pod, Service } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerContext, ControllerDefinition, Keys } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Kind } from "../kernel/kinds.ts";
import { controllerReference } from "../kernel/ownership.ts";
import { decideEndpoints, decideSubsets, layOut } from "./decide.ts";
import type { EndpointGroup, SliceContent } from "./decide.ts";

const SERVICE_NAME = "kubernetes.io/service-name";
const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
const MANAGER = "endpointslice-controller.k8s.io";
const HEADLESS = "service.kubernetes.io/headless";
const MANAGED_ENDPOINTS = "endpoints.kubernetes.io/managed-by";
const LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time";

/** Services whose endpoints a Pod belongs to, now or before. */
function followServices({ informers }: Pick<ControllerContext, "informers">, keys: Keys) {
  const services = follow(informers.for<Service>(kinds.services), keys);
  const pods = informers.for<Pod>(kinds.pods);
  const nodes = informers.for<Node>(kinds.nodes);
  const wake = (pod: Pod): void => {
    for (const service of services.list(pod.metadata.namespace)) {
      const { selector } = service.spec ?? {};
      if (selector && selectorFromMap(selector).matches(pod.metadata.labels))
        keys.add(`${service.metadata.namespace}/${service.metadata.name}`);
    }
  };
  pods.addHandler({
    add: wake,
    update: (pod, old) => {
      if (!concernsEndpoints(pod, old)) return;
      wake(pod);
      if (pod.metadata.labels !== old.metadata.labels) wake(old);
    },
    delete: wake,
  });
  const groupsOf = (service: Service): EndpointGroup[] => {
    const selector = selectorFromMap(service.spec?.selector);
    const matching = pods.list(service.metadata.namespace).filter(({ metadata }) => selector.matches(metadata.labels));
    return decideEndpoints(service, matching, (name) => nodes.get(name));
  };
  return { services, groupsOf };
}

function concernsEndpoints(pod: Pod, old: Pod): boolean {
  const of = ({ metadata, spec, status }: Pod): string =>
    JSON.stringify([
      metadata.labels,
      metadata.deletionTimestamp,
      spec?.nodeName,
      status?.phase,
      status?.podIPs,
      status?.podIP,
      (status?.conditions ?? []).find(({ type }) => type === "Ready")?.status,
    ]);
  return of(pod) !== of(old);
}

function labelsOf(service: Service): Record<string, string> {
  return {
    ...service.metadata.labels,
    [SERVICE_NAME]: service.metadata.name ?? "",
    [MANAGED_BY]: MANAGER,
    ...(service.spec?.clusterIP === "None" ? { [HEADLESS]: "" } : {}),
  };
}

async function removeObject(
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

const managed = (service: Service | undefined): service is Service =>
  service !== undefined &&
  service.metadata.deletionTimestamp === undefined &&
  service.spec?.type !== "ExternalName" &&
  Object.keys(service.spec?.selector ?? {}).length > 0;

export const endpointSliceController: ControllerDefinition = {
  name: "endpointslice-controller",
  concurrency: 5,
  setup(context, keys) {
    const { client, informers, clock } = context;
    const { services, groupsOf } = followServices(context, keys);
    const slices = informers.for<EndpointSlice>(kinds.endpointSlices).addIndex("service", ({ metadata }) => {
      const { [SERVICE_NAME]: service, [MANAGED_BY]: manager } = metadata.labels ?? {};
      return service !== undefined && manager === MANAGER ? [`${metadata.namespace}/${service}`] : [];
    });
    const expectations = new Expectations(clock);
    follow(slices, keys, ({ metadata }) => {
      const { [SERVICE_NAME]: service, [MANAGED_BY]: manager } = metadata.labels ?? {};
      return service !== undefined && manager === MANAGER ? [`${metadata.namespace}/${service}`] : [];
    });
    return {
      async reconcile(key) {
        const service = services.get(key);
        const mine = slices.byIndex("service", key);
        if (!managed(service)) {
          expectations.forget(key);
          // A Service that lost its selector leaves its slices to whoever maintains them by hand from now on.
          if (service === undefined) for (const slice of mine) await removeObject(context, kinds.endpointSlices, slice);
          return undefined;
        }
        if (!expectations.met(key)) return { again: 300_000 };
        const existing = mine.map((slice) => ({
          slice,
          content: {
            addressType: slice.addressType,
            ports: slice.ports ?? [],
            endpoints: slice.endpoints ?? [],
          } as unknown as SliceContent,
        }));
        const plan = layOut(
          groupsOf(service),
          existing.map(({ slice, content }) => ({ slice, content: canonical(content) })),
        );
        const labels = labelsOf(service);
        const updates = new Map(plan.update.map(({ slice, content }) => [slice, content]));
        for (const slice of mine) {
          if (plan.remove.includes(slice)) continue;
          const content = updates.get(slice);
          const next = { ...slice, metadata: { ...slice.metadata, labels }, ...content } as EndpointSlice;
          const written = await commit(client, kinds.endpointSlices, slice, next);
          if (written !== slice) expectations.written(key, slices, written);
        }
        for (const content of plan.create) {
          const { group, version, resource } = kinds.endpointSlices;
          const { namespace = "", name = "" } = service.metadata;
          const slice = {
            apiVersion: "discovery.k8s.io/v1",
            kind: "EndpointSlice",
            metadata: {
              generateName: `${name}-`,
              namespace,
              labels,
              annotations: { [LAST_CHANGE]: timestamp(clock.now()) },
              ownerReferences: [controllerReference(service, kinds.services)],
            },
            ...content,
          };
          try {
            expectations.written(
              key,
              slices,
              await client.create({ group, version, resource, namespace, name: "" }, slice),
            );
          } catch (error) {
            // The namespace is going away.
            if (!isStatus(error, "Forbidden")) throw error;
          }
        }
        for (const slice of plan.remove) {
          await removeObject(context, kinds.endpointSlices, slice);
          expectations.deleted(key, slices, slice);
        }
        return undefined;
      },
    };
  },
};

/** The API leaves out empty strings and false; comparing needs them back. */
function canonical({ addressType, ports, endpoints }: SliceContent): SliceContent {
  return {
    addressType,
    ports: ports.map(({ name, port, protocol, appProtocol }) => ({
      name: name ?? "",
      ...(port === undefined ? {} : { port }),
      protocol: protocol ?? "TCP",
      ...(appProtocol === undefined ? {} : { appProtocol }),
    })),
    endpoints: endpoints.map(({ addresses, conditions, hostname, nodeName, zone, targetRef }) => ({
      addresses,
      conditions: {
        ready: conditions?.ready ?? false,
        serving: conditions?.serving ?? false,
        terminating: conditions?.terminating ?? false,
      },
      ...(hostname === undefined ? {} : { hostname }),
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(zone === undefined ? {} : { zone }),
      targetRef: {
        kind: "Pod",
        namespace: targetRef?.namespace ?? "",
        name: targetRef?.name ?? "",
        uid: targetRef?.uid ?? "",
      },
    })),
  };
}

export const endpointsController: ControllerDefinition = {
  name: "endpoint-controller",
  concurrency: 5,
  setup(context, keys) {
    const { client, informers } = context;
    const { services, groupsOf } = followServices(context, keys);
    const endpoints = follow(informers.for<Endpoints>(kinds.endpoints), keys);
    return {
      async reconcile(key) {
        const service = services.get(key);
        const old = endpoints.get(key);
        if (!managed(service)) {
          const ours = old?.metadata.labels?.[MANAGED_ENDPOINTS] === "endpoint-controller";
          if (service === undefined && old && ours) await removeObject(context, kinds.endpoints, old);
          return;
        }
        const subsets = decideSubsets(service, groupsOf(service));
        const { namespace = "", name = "" } = service.metadata;
        const labels = {
          ...service.metadata.labels,
          [MANAGED_ENDPOINTS]: "endpoint-controller",
          ...(service.spec?.clusterIP === "None" ? { [HEADLESS]: "" } : {}),
        };
        if (old) {
          const next = {
            ...old,
            metadata: { ...old.metadata, labels },
            subsets: subsets.length > 0 || old.subsets ? subsets : undefined,
          } as Endpoints;
          await commit(client, kinds.endpoints, old, {
            ...next,
            ...(subsets.length === 0 ? { subsets: undefined } : {}),
          } as Endpoints);
          return;
        }
        const { group, version, resource } = kinds.endpoints;
        try {
          await client.create(
            { group, version, resource, namespace, name },
            {
              apiVersion: "v1",
              kind: "Endpoints",
              metadata: { name, namespace, labels },
              ...(subsets.length > 0 ? { subsets } : {}),
            },
          );
        } catch (error) {
          if (!isStatus(error, "AlreadyExists", "Forbidden")) throw error;
        }
      },
    };
  },
};
