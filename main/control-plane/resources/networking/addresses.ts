/** IPAddresses that are taken, and ServiceCIDRs that Services' addresses come from. */
import { isIP } from "node:net";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import type { ResourceDefinition } from "../definition.ts";
import { Problems } from "../validation/problems.ts";

interface Address extends KubeObject {
  spec?: { parentRef?: { group?: string; resource?: string; namespace?: string; name?: string } };
}
interface Range extends KubeObject {
  spec?: { cidrs?: string[] };
}

const place = { group: "networking.k8s.io", version: "v1", namespaced: false } as const;

export const ipAddress: ResourceDefinition = define({
  ...place,
  kind: "IPAddress",
  resource: "ipaddresses",
  shortNames: ["ip"],
  nameProblems: (name) => (isIP(name) === 0 ? ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"] : []),
  selectableFields: {
    "spec.parentRef.resource": (object) => (object as Address).spec?.parentRef?.resource ?? "",
  },
  strategy: {
    validate(object) {
      const problems = new Problems();
      const parent = (object as Address).spec?.parentRef;
      if (!parent) problems.required("spec.parentRef");
      else {
        if (!parent.resource) problems.required("spec.parentRef.resource");
        if (!parent.name) problems.required("spec.parentRef.name");
      }
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("spec.parentRef", (object as Address).spec?.parentRef, (old as Address).spec?.parentRef);
      return problems.causes;
    },
  },
  table: table<Address>(
    shows("ParentRef", "Who has it", (one) => {
      const { group = "", resource = "", namespace = "", name = "" } = one.spec?.parentRef ?? {};
      return `${group === "" ? "" : `${group}/`}${resource}/${namespace === "" ? "" : `${namespace}/`}${name}`;
    }),
  ),
});

function rangeProblems(cidr: string): string[] {
  const [address = "", length = ""] = cidr.split("/");
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  return version === 0 || !/^\d+$/.test(length) || Number(length) > most
    ? ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    : [];
}

export const serviceCidr: ResourceDefinition = define({
  ...place,
  kind: "ServiceCIDR",
  resource: "servicecidrs",
  strategy: withStatus({
    validate(object) {
      const problems = new Problems();
      const { cidrs = [] } = (object as Range).spec ?? {};
      if (cidrs.length === 0) problems.required("spec.cidrs", "at least one CIDR required");
      if (cidrs.length > 2) problems.invalid("spec.cidrs", cidrs, "may only hold up to 2 values");
      cidrs.forEach((cidr, at) => problems.invalidAll(`spec.cidrs[${at}]`, cidr, rangeProblems(cidr)));
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("spec.cidrs", (object as Range).spec?.cidrs, (old as Range).spec?.cidrs);
      return problems.causes;
    },
  }),
  subresources: [statusSubresource()],
  table: table<Range>(
    shows("CIDRs", "The ranges", (one) => one.spec?.cidrs?.join(",") ?? ""),
    showsAge,
  ),
});
