/** A Pod that names its node goes there or nowhere. */
import { refuseForGood } from "../framework.ts";
import type { Plugin } from "../framework.ts";

export const nodeName: Plugin = {
  name: "NodeName",
  prepare({ pod }) {
    const wanted = pod.spec?.nodeName;
    if (!wanted) return undefined;
    return {
      filter: ({ name }) =>
        name === wanted ? undefined : refuseForGood("node(s) didn't match the requested node name"),
    };
  },
  mayHelp: (event, { pod }) => event.type === "node added" && event.node.metadata.name === pod.spec?.nodeName,
};
