/** ServiceAccounts: the identities of Pods. */
import { dnsSubdomainProblems } from "../../../../common/kube/names.ts";
import type { ServiceAccount } from "../../../../common/kube/types.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, table } from "../define.ts";

export const serviceAccount: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  resource: "serviceaccounts",
  shortNames: ["sa"],
  nameProblems: dnsSubdomainProblems,
  table: table<ServiceAccount>(
    shows("Secrets", "The number of Secrets listed", (one) => one.secrets?.length ?? 0, { type: "integer" }),
    showsAge,
  ),
  subresources: [
    {
      name: "token",
      kind: { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" },
      verbs: ["create"],
      handled: true,
    },
  ],
});
