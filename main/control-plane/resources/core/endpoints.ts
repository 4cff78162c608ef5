/** Endpoints, and the EndpointSlices that took their place. */
import { dnsLabelProblems, dnsSubdomainProblems } from "../../../../common/kube/names.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { Endpoints, EndpointSlice } from "../../../../common/kube/types.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, table } from "../define.ts";
import { addressProblems, portNumberProblems, specialAddressProblems } from "../validation/numbers.ts";
import { Problems } from "../validation/problems.ts";

const protocols = ["TCP", "UDP", "SCTP"];
const mostShown = 3;

/** "10.244.1.2:80,10.244.1.3:80 + 4 more..." */
function addressesAndPorts(endpoints: Endpoints): string {
  const shown: string[] = [];
  for (const subset of endpoints.subsets ?? []) {
    for (const { ip } of subset.addresses ?? []) {
      const ports = subset.ports ?? [];
      if (ports.length === 0) shown.push(ip);
      for (const { port } of ports) shown.push(`${ip}:${port}`);
    }
  }
  if (shown.length === 0) return "<none>";
  const more = shown.length - mostShown;
  return shown.slice(0, mostShown).join(",") + (more > 0 ? ` + ${more} more...` : "");
}

function validateEndpoints(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  ((object as Endpoints).subsets ?? []).forEach((subset, index) => {
    const field = `subsets[${index}]`;
    if ((subset.addresses ?? []).length + (subset.notReadyAddresses ?? []).length === 0) {
      problems.required(field, "must specify `addresses` or `notReadyAddresses`");
    }
    for (const list of ["addresses", "notReadyAddresses"] as const) {
      (subset[list] ?? []).forEach(({ ip = "" }, at) => {
        problems.invalidAll(`${field}.${list}[${at}].ip`, ip, addressProblems(ip));
        problems.invalidAll(`${field}.${list}[${at}].ip`, ip, specialAddressProblems(ip));
      });
    }
    (subset.ports ?? []).forEach(({ name, port, protocol }, at) => {
      const path = `${field}.ports[${at}]`;
      if (!name && (subset.ports ?? []).length > 1) problems.required(`${path}.name`);
      else if (name) problems.invalidAll(`${path}.name`, name, dnsLabelProblems(name));
      problems.invalidAll(`${path}.port`, port, portNumberProblems(port));
      problems.oneOf(`${path}.protocol`, protocol, protocols);
    });
  });
  return problems.causes;
}

export const endpoints: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "Endpoints",
  resource: "endpoints",
  singular: "endpoints",
  listKind: "EndpointsList",
  shortNames: ["ep"],
  deprecation: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
  strategy: { validate: validateEndpoints, validateUpdate: validateEndpoints, allowCreateOnUpdate: true },
  table: table<Endpoints>(shows("Endpoints", "The addresses behind the Service", addressesAndPorts), showsAge),
});

function slicePorts(slice: EndpointSlice): string {
  const ports = (slice.ports ?? []) as { port?: number; name?: string }[];
  if (ports.length === 0) return "<unset>";
  const shown = ports.slice(0, mostShown).map(({ port }) => (port === undefined ? "*" : String(port)));
  const more = ports.length - mostShown;
  return shown.join(",") + (more > 0 ? ` + ${more} more...` : "");
}

function sliceAddresses(slice: EndpointSlice): string {
  const addresses = (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses ?? []);
  if (addresses.length === 0) return "<unset>";
  const more = addresses.length - mostShown;
  return addresses.slice(0, mostShown).join(",") + (more > 0 ? ` + ${more} more...` : "");
}

function validateSlice(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const slice = object as EndpointSlice;
  problems.oneOf("addressType", slice.addressType, ["FQDN", "IPv4", "IPv6"]);
  const all = slice.endpoints ?? [];
  if (all.length > 1000) problems.tooMany("endpoints", all.length, 1000);
  all.forEach((endpoint, index) => {
    const field = `endpoints[${index}].addresses`;
    const addresses = endpoint.addresses ?? [];
    if (addresses.length === 0) problems.required(field, "must contain at least 1 address");
    if (addresses.length > 100) problems.tooMany(field, addresses.length, 100);
    addresses.forEach((address, at) => {
      const wrong = slice.addressType === "FQDN" ? dnsSubdomainProblems(address) : addressProblems(address);
      problems.invalidAll(`${field}[${at}]`, address, wrong);
      if (slice.addressType !== "FQDN" && wrong.length === 0)
        problems.invalidAll(`${field}[${at}]`, address, specialAddressProblems(address));
    });
    if (endpoint.hostname) {
      problems.invalidAll(`endpoints[${index}].hostname`, endpoint.hostname, dnsLabelProblems(endpoint.hostname));
    }
  });
  const names = new Set<string>();
  ((slice.ports ?? []) as { name?: string; protocol?: string }[]).forEach(({ name = "", protocol }, index) => {
    if (names.has(name)) problems.duplicate(`ports[${index}].name`, name);
    names.add(name);
    if (name !== "") problems.invalidAll(`ports[${index}].name`, name, dnsLabelProblems(name));
    if (protocol !== undefined) problems.oneOf(`ports[${index}].protocol`, protocol, protocols);
  });
  return problems.causes;
}

export const endpointSlice: ResourceDefinition = define({
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  resource: "endpointslices",
  hasGeneration: true,
  strategy: {
    validate: validateSlice,
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.add(validateSlice(object));
      problems.immutable("addressType", object["addressType"], old["addressType"]);
      return problems.causes;
    },
  },
  table: table<EndpointSlice>(
    shows("AddressType", "The kind of addresses", (one) => one.addressType ?? ""),
    shows("Ports", "The ports of every endpoint", slicePorts),
    shows("Endpoints", "The addresses", sliceAddresses),
    showsAge,
  ),
});
