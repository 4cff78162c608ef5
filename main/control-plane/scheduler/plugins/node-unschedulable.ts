/** Cordoned nodes take no Pods, but those that tolerate it. */
import { refuseForGood } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import { tolerates } from "./taint-toleration.ts";

const TAINT = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

export const nodeUnschedulable: Plugin = {
  name: "NodeUnschedulable",
  ofNodeAlone: true,
  prepare({ pod }) {
    if (tolerates(pod.spec?.tolerations, TAINT)) return undefined;
    return {
      filter: ({ unschedulable }) => (unschedulable ? refuseForGood("node(s) were unschedulable") : undefined),
    };
  },
  mayHelp: (event) =>
    (event.type === "node added" && !event.node.spec?.unschedulable) ||
    (event.type === "node updated" && Boolean(event.old.spec?.unschedulable) && !event.node.spec?.unschedulable),
};
