/**
 * Mirrors Endpoints that somebody keeps by hand, for a Service without a selector, into EndpointSlices: those are
 * what proxies and DNS read.
 */
import { isIP } from "node:net";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { EndpointSlice, Endpoints, Service } from "../../../../common/kube/types.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { kinds } from "../kernel/kinds.ts";
import { controllerReference } from "../kernel/ownership.ts";
import type { Endpoint, EndpointGroup, EndpointPort } from "./decide.ts";
import { LAST_CHANGE, MANAGED_BY, SERVICE_NAME, bySlices, writeSlices } from "./slices.ts";

export const MIRROR = "endpointslicemirroring-controller.k8s.io";
const SKIP = "endpointslice.kubernetes.io/skip-mirror";
const LEADER = "control-plane.alpha.kubernetes.io/leader";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
/** Addresses of a subset beyond this number are left out. */
const MOST_PER_SUBSET = 1000;

type Subset = NonNullable<Endpoints["subsets"]>[number];

/** The groups that an Endpoints object's subsets make, by address family. Pure. */
export function groupsOf(endpoints: Endpoints): { groups: EndpointGroup[]; skipped: number } {
  const groups = new Map<string, EndpointGroup>();
  let skipped = 0;
  const take = ({ ports = [], addresses = [], notReadyAddresses = [] }: Subset): void => {
    const portList = ports.map(({ name, port, protocol, appProtocol }): EndpointPort => ({
      name: name ?? "",
      ...(port === undefined ? {} : { port }),
      protocol: protocol ?? "TCP",
      ...(appProtocol === undefined ? {} : { appProtocol }),
    }));
    const all = [
      ...addresses.map((one) => ({ one, ready: true })),
      ...notReadyAddresses.map((one) => ({ one, ready: false })),
    ];
    skipped += Math.max(0, all.length - MOST_PER_SUBSET);
    for (const { one, ready } of all.slice(0, MOST_PER_SUBSET)) {
      const version = isIP(one.ip);
      if (version === 0) {
        skipped += 1;
        continue;
      }
      const addressType = version === 4 ? "IPv4" : "IPv6";
      const key = JSON.stringify([addressType, portList]);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { addressType, ports: portList, endpoints: [] }));
      const endpoint: Endpoint = {
        addresses: [one.ip],
        conditions: { ready, serving: ready, terminating: false },
        ...(one.hostname ? { hostname: one.hostname } : {}),
        ...(one.nodeName ? { nodeName: one.nodeName } : {}),
        ...(one.targetRef ? { targetRef: one.targetRef as NonNullable<Endpoint["targetRef"]> } : {}),
      };
      group.endpoints.push(endpoint);
    }
  };
  for (const subset of endpoints.subsets ?? []) take(subset);
  return { groups: [...groups.values()], skipped };
}

function isMirrored(endpoints: Endpoints | undefined, service: Service | undefined): endpoints is Endpoints {
  if (!endpoints || endpoints.metadata.deletionTimestamp !== undefined || !service) return false;
  if (Object.keys(service.spec?.selector ?? {}).length > 0) return false;
  return endpoints.metadata.labels?.[SKIP] !== "true" && endpoints.metadata.annotations?.[LEADER] === undefined;
}

export const endpointSliceMirroring: ControllerDefinition = {
  name: "endpointslicemirroring-controller",
  concurrency: 5,
  setup(context, keys) {
    const { informers, clock, events } = context;
    const services = follow(informers.for<Service>(kinds.services), keys);
    const endpoints = follow(informers.for<Endpoints>(kinds.endpoints), keys);
    const slices = bySlices(informers.for<EndpointSlice>(kinds.endpointSlices), MIRROR, keys);
    const expectations = new Expectations(clock);
    return {
      async reconcile(key) {
        const mine = slices(key);
        const object = endpoints.get(key);
        if (!expectations.met(key)) return { again: 300_000 };
        const mirrored = isMirrored(object, services.get(key));
        const { groups, skipped } = mirrored ? groupsOf(object) : { groups: [], skipped: 0 };
        if (skipped > 0 && object) {
          const what = `${skipped} addresses in ${key} Endpoints were skipped due to being invalid or exceeding MaxEndpointsPerSubset`;
          events.record(object, "Warning", "InvalidEndpointSlices", what);
        }
        const { labels, annotations } = object?.metadata ?? {};
        const { [LAST_CHANGE]: _changed, [LAST_APPLIED]: _applied, ...handedOn } = annotations ?? {};
        await writeSlices({
          context,
          key,
          expectations,
          informer: informers.for<EndpointSlice>(kinds.endpointSlices),
          mine,
          groups,
          owner: (object ?? { metadata: {} }) as KubeObject,
          labels: { ...labels, [SERVICE_NAME]: object?.metadata.name ?? "", [MANAGED_BY]: MIRROR },
          annotations: handedOn,
          reference: object ? controllerReference(object, kinds.endpoints) : undefined,
        });
        return undefined;
      },
    };
  },
};
