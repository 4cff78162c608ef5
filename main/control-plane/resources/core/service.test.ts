import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Service } from "../../../../common/kube/types.ts";
import { fromYaml, judgeCreate, judgeUpdate, row } from "../testing/judge.ts";
import { NumberPool, ServiceAllocator } from "./service-allocator.ts";

type Spec = NonNullable<Service["spec"]>;
const spec = (object: KubeObject): Spec => (object as Service).spec as Spec;

function service(changes: object = {}, name = "web"): KubeObject {
  const object = fromYaml(`
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {selector: {app: web}, ports: [{port: 80}]}
`);
  Object.assign(spec(object), changes);
  return object;
}

describe("validation", () => {
  test("a plain Service gets its family and nothing is wrong", () => {
    const { object, problems } = judgeCreate(service());
    expect(problems).toEqual([]);
    expect(spec(object)).toMatchObject({
      type: "ClusterIP",
      sessionAffinity: "None",
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      internalTrafficPolicy: "Cluster",
      ports: [{ port: 80, targetPort: 80, protocol: "TCP" }],
    });
    expect(object["status"]).toEqual({ loadBalancer: {} });
  });

  test.each<[string, KubeObject, string[]]>([
    ["no ports", service({ ports: [] }), ["spec.ports: Required value"]],
    [
      "two ports without names",
      service({ ports: [{ port: 80 }, { port: 81 }] }),
      ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
    ],
    [
      "the same port twice",
      service({
        ports: [
          { name: "a", port: 80 },
          { name: "b", port: 80 },
        ],
      }),
      ['spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}'],
    ],
    [
      "a port out of range",
      service({ ports: [{ port: 0, targetPort: 80 }] }),
      ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
    ],
    [
      "a type that is none",
      service({ type: "Magic" }),
      [
        'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    [
      "a node port of a ClusterIP",
      service({ ports: [{ port: 80, nodePort: 30_080 }] }),
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [
      "a name elsewhere without one",
      service({ type: "ExternalName", ports: [] }),
      ["spec.externalName: Required value"],
    ],
    [
      "a headless node port",
      service({ type: "NodePort", clusterIP: "None" }),
      ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
    ],
    [
      "an outside policy inside",
      service({ externalTrafficPolicy: "Local" }),
      ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
    ],
    [
      "IPv6",
      service({ ipFamilies: ["IPv6"] }),
      ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'],
    ],
    [
      "a name with a dot",
      service({}, "a.b"),
      [
        "metadata.name: Invalid value: \"a.b\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
      ],
    ],
  ])("%s", (_, object, expected) => {
    expect(judgeCreate(object).problems).toEqual(expected);
  });

  test("the address stays; a PUT without it keeps it", () => {
    const old = service({ clusterIP: "10.96.0.7", clusterIPs: ["10.96.0.7"] });
    const kept = judgeUpdate(structuredClone(old), (object) => {
      delete spec(object).clusterIP;
      delete spec(object).clusterIPs;
    });
    expect(kept.problems).toEqual([]);
    expect(spec(kept.object).clusterIP).toBe("10.96.0.7");
    const changed = judgeUpdate(old, (object) =>
      Object.assign(spec(object), { clusterIP: "10.96.0.8", clusterIPs: ["10.96.0.8"] }),
    );
    expect(changed.problems).toEqual(['spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set']);
  });

  test("back to ClusterIP the node port goes by itself", () => {
    const old = service({ type: "NodePort", clusterIP: "10.96.0.7", ports: [{ port: 80, nodePort: 30_080 }] });
    const { object, problems } = judgeUpdate(old, (one) => (spec(one).type = "ClusterIP"));
    expect(problems).toEqual([]);
    expect(spec(object).ports?.[0]?.nodePort).toBeUndefined();
    expect(spec(object).externalTrafficPolicy).toBeUndefined();
  });
});

describe("allocation", () => {
  const allocator = (): ServiceAllocator => new ServiceAllocator({ random: () => 0 });

  test("an address and a node port for each, given back when it goes", () => {
    const pool = allocator();
    const first = service({ type: "NodePort" });
    pool.claim(first, undefined).commit();
    expect(spec(first)).toMatchObject({
      clusterIP: "10.96.1.1",
      clusterIPs: ["10.96.1.1"],
      ports: [{ nodePort: 30_086 }],
    });
    const second = service({ type: "NodePort" }, "b");
    pool.claim(second, undefined).commit();
    expect(spec(second)).toMatchObject({ clusterIP: "10.96.1.2", ports: [{ nodePort: 30_087 }] });
    pool.released(first);
    const third = service({ type: "NodePort" }, "c");
    pool.claim(third, undefined).commit();
    expect(spec(third).clusterIP).toBe("10.96.1.1");
  });

  test("what was asked for, if it is free and in range", () => {
    const pool = allocator();
    pool.rebuild([service({ clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"] })]);
    expect(() => pool.claim(service({ clusterIP: "10.96.0.10" }), undefined)).toThrow(
      'Service "web" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated',
    );
    expect(() => pool.claim(service({ clusterIP: "10.97.0.1" }), undefined)).toThrow(
      "failed to allocate IP 10.97.0.1: the provided IP (10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/16",
    );
    const wishes = (nodePort: number): KubeObject =>
      service({ type: "NodePort", ports: [{ port: 80, protocol: "TCP", nodePort }] });
    expect(() => pool.claim(wishes(80), undefined)).toThrow(
      "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
    );
    pool.claim(wishes(30_001), undefined).commit();
    expect(() => pool.claim(wishes(30_001), undefined)).toThrow(
      "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated",
    );
  });

  test("a write that failed leaves nothing behind", () => {
    const pool = allocator();
    const lost = service({ type: "NodePort" });
    pool.claim(lost, undefined).rollback();
    const next = service({ type: "NodePort" });
    pool.claim(next, undefined).commit();
    expect(spec(next)).toEqual(spec(lost));
  });

  test("an update keeps what it has and gives back what it drops", () => {
    const pool = allocator();
    const old = service({ type: "NodePort" });
    pool.claim(old, undefined).commit();
    const port = spec(old).ports?.[0]?.nodePort ?? 0;
    const plain = structuredClone(old);
    spec(plain).type = "ClusterIP";
    for (const one of spec(plain).ports ?? []) delete one.nodePort;
    pool.claim(plain, old).commit();
    const other = service({ type: "NodePort", ports: [{ port: 80, protocol: "TCP", nodePort: port }] }, "b");
    expect(() => pool.claim(other, undefined).commit()).not.toThrow();
  });

  test("headless and external Services have no address", () => {
    const pool = allocator();
    const headless = service({ clusterIP: "None" });
    pool.claim(headless, undefined).commit();
    expect(spec(headless).clusterIP).toBe("None");
    const elsewhere = service({ type: "ExternalName", externalName: "example.com" });
    pool.claim(elsewhere, undefined).commit();
    expect(spec(elsewhere).clusterIP).toBeUndefined();
  });

  test("a full pool says so; the lower band is used last", () => {
    const pool = new NumberPool(1, 4, 2, () => 0);
    expect([pool.next(), pool.next(), pool.next(), pool.next(), pool.next()]).toEqual([3, 4, 1, 2, undefined]);
  });
});

test.each([
  [
    { clusterIP: "10.96.0.7" },
    { Type: "ClusterIP", "Cluster-IP": "10.96.0.7", "External-IP": "<none>", "Port(s)": "80/TCP", Selector: "app=web" },
  ],
  [
    { type: "NodePort", clusterIP: "10.96.0.7", ports: [{ port: 80, nodePort: 30_080, protocol: "TCP" }] },
    { "Port(s)": "80:30080/TCP" },
  ],
  [{ type: "LoadBalancer", clusterIP: "10.96.0.7" }, { "External-IP": "<pending>" }],
  [
    { type: "ExternalName", externalName: "example.com", ports: [] },
    { "Cluster-IP": "<none>", "External-IP": "example.com", "Port(s)": "<none>" },
  ],
])("kubectl get services: %j", (changes, expected) => {
  const object = service({ type: "ClusterIP", ...changes });
  expect(row(object)).toMatchObject(expected);
});
