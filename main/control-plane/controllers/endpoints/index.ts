/** EndpointSlices and the older Endpoints: the addresses behind each Service that has a selector. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { EventRecorder } from "../../../../common/kube/events.ts";
import type { Informer } from "../../../../common/kube/informer.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import { selectorFromMap } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { EndpointSlice, Endpoints, Node, Pod, Service } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerContext, ControllerDefinition, Keys } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { kinds } from "../kernel/kinds.ts";
import { controllerReference } from "../kernel/ownership.ts";
import { decideEndpoints, decideSubsets, isTruncated } from "./decide.ts";
import type { EndpointGroup } from "./decide.ts";
import { concernsTopology, sharesOf, wantsHints, withTopologyHints } from "./topology.ts";
import { LAST_CHANGE, MANAGED_BY, SERVICE_NAME, bySlices, removeObject, writeSlices } from "./slices.ts";

const MANAGER = "endpointslice-controller.k8s.io";
const HEADLESS = "service.kubernetes.io/headless";
const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";
const MANAGED_ENDPOINTS = "endpoints.kubernetes.io/managed-by";

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

const managed = (service: Service | undefined): service is Service =>
  service !== undefined &&
  service.metadata.deletionTimestamp === undefined &&
  service.spec?.type !== "ExternalName" &&
  Object.keys(service.spec?.selector ?? {}).length > 0;

const HINTS_ON = "Topology Aware Hints has been enabled";
const HINTS_OFF = "Topology Aware Hints has been disabled";

/** Gives the endpoints of Services that ask for it hints by the CPU of the zones, and tells when that begins, and when not. */
function followTopology(
  { informers, events }: Pick<ControllerContext, "informers"> & { events: EventRecorder },
  services: Informer<Service>,
  keys: Keys,
): (key: string, service: Service | undefined, groups: EndpointGroup[]) => EndpointGroup[] {
  const nodes = informers.for<Node>(kinds.nodes);
  const wake = (): void => {
    for (const service of services.list()) if (wantsHints(service)) keys.add(objectKey(service));
  };
  nodes.addHandler({
    add: wake,
    update: (node, old) => (concernsTopology(node) === concernsTopology(old) ? undefined : wake()),
    delete: wake,
  });
  /** By Service: what was said of it last, for each address family. */
  const said = new Map<string, Map<string, string>>();
  return (key, service, groups) => {
    const before = said.get(key);
    if (service === undefined || (!wantsHints(service) && before === undefined)) {
      said.delete(key);
      return groups;
    }
    const now = new Map<string, string>();
    const tell = (family: string, message: string): void => {
      now.set(family, message);
      if (before?.get(family) === message) return;
      const on = message === HINTS_ON;
      const reason = on ? "TopologyAwareHintsEnabled" : "TopologyAwareHintsDisabled";
      events.record(service, on ? "Normal" : "Warning", reason, `${message}, addressType: ${family}`);
    };
    if (!wantsHints(service)) {
      for (const [family, message] of before ?? []) if (message === HINTS_ON) tell(family, HINTS_OFF);
      said.delete(key);
      return groups;
    }
    const shares = sharesOf(nodes.list());
    const result = [...new Set(groups.map(({ addressType }) => addressType))].flatMap((family) => {
      const of = groups.filter(({ addressType }) => addressType === family);
      const hinted = withTopologyHints(of, shares);
      tell(family, typeof hinted === "string" ? hinted : HINTS_ON);
      return typeof hinted === "string" ? of : hinted;
    });
    said.set(key, now);
    return result;
  };
}

export const endpointSliceController: ControllerDefinition = {
  name: "endpointslice-controller",
  eventSource: "endpoint-slice-controller",
  concurrency: 5,
  setup(context, keys) {
    const { informers, clock } = context;
    const { services, groupsOf } = followServices(context, keys);
    const hinted = followTopology(context, services, keys);
    const informer = informers.for<EndpointSlice>(kinds.endpointSlices);
    const slices = bySlices(informer, MANAGER, keys);
    const expectations = new Expectations(clock);
    return {
      async reconcile(key) {
        const service = services.get(key);
        const mine = slices(key);
        if (!managed(service)) {
          expectations.forget(key);
          hinted(key, undefined, []);
          // A Service that lost its selector leaves its slices to whoever maintains them by hand from now on.
          if (service === undefined) for (const slice of mine) await removeObject(context, kinds.endpointSlices, slice);
          return undefined;
        }
        if (!expectations.met(key)) return { again: 300_000 };
        await writeSlices({
          context,
          key,
          expectations,
          informer,
          mine,
          groups: hinted(key, service, groupsOf(service)),
          owner: service,
          labels: labelsOf(service),
          annotations: { [LAST_CHANGE]: timestamp(clock.now()) },
          reference: controllerReference(service, kinds.services),
        });
        return undefined;
      },
    };
  },
};

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
        const groups = groupsOf(service);
        const subsets = decideSubsets(service, groups);
        const { namespace = "", name = "" } = service.metadata;
        const labels = {
          ...service.metadata.labels,
          [MANAGED_ENDPOINTS]: "endpoint-controller",
          ...(service.spec?.clusterIP === "None" ? { [HEADLESS]: "" } : {}),
        };
        const truncated = isTruncated(service, groups);
        const { [OVER_CAPACITY]: _before, ...others } = old?.metadata.annotations ?? {};
        const annotations = truncated ? { ...others, [OVER_CAPACITY]: "truncated" } : others;
        if (old) {
          const next = {
            ...old,
            metadata: { ...old.metadata, labels, annotations },
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
              metadata: { name, namespace, labels, ...(truncated ? { annotations } : {}) },
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
