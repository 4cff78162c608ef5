import { expect, it } from "vitest";
import type { Container } from "../kube/types.ts";
import { mayRestart, shouldRestart } from "./restart.ts";
import type { ContainerKind } from "./restart.ts";

const rule = (operator: string, ...values: number[]): object => ({
  action: "Restart",
  exitCodes: { operator, values },
});

it.each<[string, object, ContainerKind, string, number[], number[]]>([
  ["goes by the Pod's policy", {}, "regular", "OnFailure", [1], [0]],
  ["prefers its own policy", { restartPolicy: "Never" }, "regular", "Always", [], [0, 1]],
  ["may be started again in a Pod that is not", { restartPolicy: "Always" }, "regular", "Never", [0, 1], []],
  [
    "goes by a rule first",
    { restartPolicy: "Never", restartPolicyRules: [rule("In", 42, 43)] },
    "regular",
    "Never",
    [42, 43],
    [0, 1],
  ],
  [
    "knows rules for all codes but some",
    { restartPolicy: "Never", restartPolicyRules: [rule("NotIn", 0, 1)] },
    "regular",
    "Never",
    [2, 42],
    [0, 1],
  ],
  [
    "goes by the next rule where the first does not match",
    { restartPolicy: "Never", restartPolicyRules: [rule("In", 1), rule("In", 2)] },
    "regular",
    "Never",
    [1, 2],
    [3],
  ],
  ["has no rules without a policy of its own", { restartPolicyRules: [rule("In", 42)] }, "regular", "Never", [], [42]],
  ["has done its part as an init container", {}, "init", "Always", [1], [0]],
  [
    "has its own policy and rules as an init container",
    { restartPolicy: "Never", restartPolicyRules: [rule("In", 42)] },
    "init",
    "Always",
    [42],
    [0, 1],
  ],
  ["always is as a sidecar", { restartPolicy: "Always" }, "sidecar", "Never", [0, 1], []],
  ["never is as a visitor", {}, "ephemeral", "Always", [], [0, 1]],
])("a container %s", (_, spec, kind, policy, again, ended) => {
  const container = { name: "c", ...spec } as Container;
  const restarts = (code: number): boolean => shouldRestart(container, kind, policy, code);
  expect({ again: again.map(restarts), ended: ended.map(restarts) }).toEqual({
    again: again.map(() => true),
    ended: ended.map(() => false),
  });
  expect(mayRestart(container, kind, policy)).toBe(again.length > 0);
});
