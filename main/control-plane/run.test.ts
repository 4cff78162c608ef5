import { describe, expect, it } from "vitest";
import { readArguments } from "./run.ts";

describe("the arguments of drydock control-plane", () => {
  it("are read in full", () => {
    const options = readArguments([
      "--data=/d",
      "--port=0",
      "--kubeconfig=/k",
      "--simulated-nodes=a,b",
      "--kubelet-egress=unix:/run/e.sock",
      "--exit-with-parent",
    ]);
    expect(options).toMatchObject({
      data: "/d",
      port: 0,
      kubeconfig: "/k",
      simulatedNodes: ["a", "b"],
      kubeletEgress: "/run/e.sock",
      exitWithParent: true,
    });
  });

  it("have defaults", () => {
    expect(readArguments(["--data=/d"])).toMatchObject({ port: 6443, kubeconfig: "/d/admin.kubeconfig", log: "warn" });
    expect(readArguments(["--data=/d", "--simulated-nodes=3"]).simulatedNodes).toBe(3);
  });

  it.each([
    [[]],
    [["--data=/d", "--port=x"]],
    [["--data=/d", "--port=70000"]],
    [["--data=/d", "--log-level=loud"]],
    [["--nonsense"]],
    [["--data=/d", "--simulated-nodes=,"]],
    [["--data=/d", "--simulated-nodes=10001"]],
    [["--data=/d", "--simulation=/s"]],
  ])("make no sense as %j", (argv) => {
    expect(() => readArguments(argv)).toThrow(/--/);
  });
});
