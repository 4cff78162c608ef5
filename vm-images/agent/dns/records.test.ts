import { describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";
import { resolve } from "./records.ts";
import type { DnsData } from "./records.ts";

const services: Record<string, object> = {
  "default/web": {
    clusterIP: "10.96.1.1",
    ports: [
      { name: "http", port: 80, protocol: "TCP" },
      { name: "dns", port: 53, protocol: "UDP" },
    ],
  },
  "default/db": { clusterIP: "None", ports: [{ name: "sql", port: 5432 }] },
  "default/out": { type: "ExternalName", externalName: "example.org" },
};
const slice = {
  addressType: "IPv4",
  ports: [{ name: "sql", port: 5432, protocol: "TCP" }],
  endpoints: [
    { addresses: ["10.244.1.2"], hostname: "db-0" },
    { addresses: ["10.244.2.7"], conditions: { ready: true } },
    { addresses: ["10.244.3.3"], conditions: { ready: false } },
  ],
} as unknown as EndpointSlice;
const data: DnsData = {
  domain: "cluster.local",
  service: (namespace, name) =>
    services[`${namespace}/${name}`] &&
    ({ metadata: { namespace, name }, spec: services[`${namespace}/${name}`] } as unknown as Service),
  slices: (_, name) => (name === "db" ? [slice] : []),
  namespaceExists: (namespace) => namespace === "default",
  namesOf: (address) => (address === "10.96.1.1" ? ["web.default.svc.cluster.local"] : []),
  isClusterAddress: (address) => address.startsWith("10.96.") || address.startsWith("10.244."),
};

const rows: [question: string, rcode: string | undefined, answers: string[]][] = [
  ["A web.default.svc.cluster.local", "NOERROR", ["10.96.1.1"]],
  ["A WEB.default.svc.cluster.local.", "NOERROR", ["10.96.1.1"]],
  ["AAAA web.default.svc.cluster.local", "NOERROR", []],
  ["A nothing.default.svc.cluster.local", "NXDOMAIN", []],
  ["A web.default.svc.cluster.local.default.svc.cluster.local", "NXDOMAIN", []],
  ["A default.svc.cluster.local", "NOERROR", []],
  ["A missing.svc.cluster.local", "NXDOMAIN", []],
  ["A svc.cluster.local", "NOERROR", []],
  ["A other.cluster.local", "NXDOMAIN", []],
  ["A db.default.svc.cluster.local", "NOERROR", ["10.244.1.2", "10.244.2.7"]],
  ["A db-0.db.default.svc.cluster.local", "NOERROR", ["10.244.1.2"]],
  ["A 10-244-2-7.db.default.svc.cluster.local", "NOERROR", ["10.244.2.7"]],
  ["A db-9.db.default.svc.cluster.local", "NXDOMAIN", []],
  ["SRV _http._tcp.web.default.svc.cluster.local", "NOERROR", ["80 web.default.svc.cluster.local"]],
  ["SRV _dns._udp.web.default.svc.cluster.local", "NOERROR", ["53 web.default.svc.cluster.local"]],
  ["SRV _http._udp.web.default.svc.cluster.local", "NXDOMAIN", []],
  [
    "SRV _sql._tcp.db.default.svc.cluster.local",
    "NOERROR",
    ["5432 db-0.db.default.svc.cluster.local", "5432 10-244-2-7.db.default.svc.cluster.local"],
  ],
  ["A 10-244-1-9.default.pod.cluster.local", "NOERROR", ["10.244.1.9"]],
  ["A 10-244-1-999.default.pod.cluster.local", "NXDOMAIN", []],
  ["A out.default.svc.cluster.local", "NOERROR", ["example.org"]],
  ["PTR 1.1.96.10.in-addr.arpa", "NOERROR", ["web.default.svc.cluster.local"]],
  ["PTR 9.9.96.10.in-addr.arpa", "NXDOMAIN", []],
  ["PTR 8.8.8.8.in-addr.arpa", undefined, []],
  ["TXT dns-version.cluster.local", "NOERROR", ["1.1.0"]],
  ["A example.org", undefined, []],
  ["A notcluster.local", undefined, []],
];

describe("resolve", () => {
  it.each(rows)("%s is %s %j", (question, rcode, answers) => {
    const [type = "", name = ""] = question.split(" ");
    const result = resolve({ type, name }, data);
    expect(result?.rcode).toBe(rcode);
    const texts = (result?.answers ?? []).map((answer) =>
      answer.type === "SRV" ? `${answer.data.port} ${answer.data.target}` : String((answer as { data: unknown }).data),
    );
    expect(texts).toEqual(answers);
  });

  it("tells whose addresses complete an ExternalName", () => {
    expect(resolve({ type: "A", name: "out.default.svc.cluster.local" }, data)?.follow).toBe("example.org");
  });
});
