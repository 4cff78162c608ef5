/** Writes the rules of aggregated ClusterRoles where people read them; authorization joins them by itself. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import { aggregateRules } from "../../auth/rbac/authorizer.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";

const selectorsOf = (role: KubeObject): LabelSelectorObject[] | undefined =>
  (role["aggregationRule"] as { clusterRoleSelectors?: LabelSelectorObject[] } | undefined)?.clusterRoleSelectors;

export const clusterRoleAggregation: ControllerDefinition = {
  name: "clusterrole-aggregation-controller",
  concurrency: 2,
  setup({ client, informers }, keys) {
    const roles = informers.for<KubeObject>(kinds.clusterRoles);
    const aggregating = (): KubeObject[] => roles.list().filter((role) => selectorsOf(role) !== undefined);
    // A role that changes concerns all that may select it, or did; there are few.
    follow(roles, keys, (role) => [
      ...(selectorsOf(role) ? [role.metadata.name ?? ""] : []),
      ...aggregating().map(({ metadata }) => metadata.name ?? ""),
    ]);
    return {
      async reconcile(name) {
        const role = roles.get(name);
        const selectors = role && selectorsOf(role);
        if (!role || !selectors) return;
        const chosen = selectors.map((selector) => selectorFromObject(selector));
        const sorted = roles.list().toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1));
        // None selected is no reason to take away what somebody wrote before there was anything to select.
        const any = sorted.some((one) => one !== role && chosen.some(({ matches }) => matches(one.metadata.labels)));
        if (!any && role["rules"] === undefined) return;
        await commit(client, kinds.clusterRoles, role, { ...role, rules: aggregateRules(role, sorted) } as KubeObject);
      },
    };
  },
};
