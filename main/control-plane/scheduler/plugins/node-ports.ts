/** Two Pods cannot listen at the same port of one node's address. */
import { refuse } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import { hostPortsOf } from "../model.ts";
import type { HostPort } from "../model.ts";

const ANY = "0.0.0.0";

export function portsCollide(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === ANY || b.ip === ANY);
}

export const nodePorts: Plugin = {
  name: "NodePorts",
  ofNodeAlone: true,
  prepare({ hostPorts }) {
    if (hostPorts.length === 0) return undefined;
    return {
      filter: ({ pods }) => {
        for (const other of pods.values()) {
          if (other.hostPorts.some((taken) => hostPorts.some((wanted) => portsCollide(taken, wanted)))) {
            return refuse("node(s) didn't have free ports for the requested pod ports");
          }
        }
        return undefined;
      },
    };
  },
  mayHelp: (event, { hostPorts }) =>
    event.type === "node added" ||
    (event.type === "pod gone" &&
      hostPortsOf(event.pod).some((freed) => hostPorts.some((wanted) => portsCollide(freed, wanted)))),
};
