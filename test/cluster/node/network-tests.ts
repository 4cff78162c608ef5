/** What Pods may expect of the network, and of what a policy lets through: tables of questions asked from inside. */
import { describe, expect, it } from "vitest";
import { eventually } from "../support.ts";
import type { Harbour } from "./harbour.ts";
import { NAMESPACE, QUESTIONS, udp } from "./network.ts";
import { POLICIES } from "./policies.ts";
import type { Visit } from "./policies.ts";
import { javascript, nodeVolumes } from "./programs.ts";

export function describeNetworking(harbour: Harbour): void {
  describe("the network", () => {
    it.each(QUESTIONS)("$name", { timeout: 120_000 }, async ({ script, answer, never, from = "sailor" }) => {
      const text = await eventually(
        "the answer",
        () => harbour.inside(from, script(harbour.at)),
        (said) => answer(harbour.at).test(said),
        60_000,
      );
      expect(text).toMatch(answer(harbour.at));
      if (never) expect(text).not.toMatch(never(harbour.at));
    });

    it("sends a UDP client that goes on talking to a Pod that is there", { timeout: 240_000 }, async () => {
      const lasting = `
        const socket = require("node:dgram").createSocket("udp4");
        socket.on("message", (answer) => process.stdout.write(String(answer)));
        setInterval(() => socket.send("x", 53, "both.harbour.svc.cluster.local"), 200);`;
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "talker", namespace: NAMESPACE },
        spec: {
          terminationGracePeriodSeconds: 1,
          nodeName: harbour.cluster.worker,
          volumes: nodeVolumes,
          containers: [javascript(lasting)],
        },
      };
      await harbour.cluster.ok(["create", "-f", "-"], JSON.stringify(pod));
      await harbour.kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=120s");
      const said = async (): Promise<string> => {
        const log = await harbour.kubectl("logs", "talker", "--tail=1");
        return log.split(" ")[0] ?? "";
      };
      const first = await eventually("it has an answer", said, (name) => name !== "", 60_000);
      await harbour.kubectl("label", "pod", first, "app=gone", "--overwrite");
      const second = await eventually("the other answers", said, (name) => name !== "" && name !== first, 60_000);
      expect(second).toBe(first === "near" ? "far" : "near");
      await harbour.kubectl("label", "pod", first, "app=who", "--overwrite");
      await harbour.kubectl("delete", "pod", "talker", "--wait=false");
    });
  });

  describe("network policies", () => {
    /** Whether somebody answers: one of the servers, and says its name. */
    const reaches = async ({ from, to, udp: withUdp }: Visit): Promise<boolean> => {
      const [host = "", port = ""] = to(harbour.at).split(" ");
      const ask = withUdp ? udp(host, Number(port), 1) : `nc -w 3 ${host} ${port}`;
      return /^(near|far) /.test(await harbour.inside(from, ask));
    };

    it.each(POLICIES)("$name", { timeout: 240_000 }, async ({ specs, visits }) => {
      const policies = specs(harbour.at).map((spec, index) => ({
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: `policy-${index}`, namespace: NAMESPACE },
        spec,
      }));
      await harbour.cluster.ok(["create", "-f", "-"], policies.map((one) => JSON.stringify(one)).join("\n---\n"));
      try {
        for (const visit of visits) {
          const what = `${visit.from} ${visit.reaches ? "reaches" : "does not reach"} ${visit.to(harbour.at)}`;
          const right = (did: boolean): boolean => did === visit.reaches;
          expect(await eventually(what, () => reaches(visit), right, 60_000)).toBe(visit.reaches);
        }
      } finally {
        await harbour.kubectl("delete", "networkpolicy", "--all");
      }
      for (const visit of visits.filter((one) => !one.reaches))
        await eventually(`${visit.from} reaches ${visit.to(harbour.at)} again`, () => reaches(visit), Boolean, 60_000);
    });
  });
}
