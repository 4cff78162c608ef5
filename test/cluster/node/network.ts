/**
 * What Pods may expect of the cluster's network: a server and a client on each of two nodes, one in a node's own network, a
 * Service of every kind, and a table of questions asked from inside, with what must come back.
 */
import type { KubeObject } from "../../../common/kube/object.ts";
import { javascript, nodeVolumes, WHO } from "./programs.ts";

export const NAMESPACE = "harbour";
const namespace = NAMESPACE;
const app = { app: "who" };

const server = (name: string, nodeName: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels: { ...app, who: name } },
  spec: {
    nodeName,
    hostname: name,
    subdomain: "headless",
    terminationGracePeriodSeconds: 1,
    volumes: nodeVolumes,
    containers: [
      javascript(WHO, {
        ports: [
          { name: "who", containerPort: 7777 },
          { name: "who-udp", containerPort: 7777, protocol: "UDP" },
        ],
        readinessProbe: { tcpSocket: { port: 7777 }, periodSeconds: 1 },
      }),
    ],
  },
});
const client = (name: string, nodeName: string, more: object = {}): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels: { role: name } },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 1,
    volumes: nodeVolumes,
    containers: [{ ...javascript(""), command: ["sleep", "3600"] }],
    ...more,
  },
});
const service = (name: string, spec: object): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace },
  spec: { selector: app, ports: [{ name: "who", port: 80, targetPort: "who" }], ...spec },
});

/** `far`: another node than `near`. */
export function harbour(near: string, far: string): KubeObject[] {
  return [
    server("near", near),
    server("far", far),
    client("sailor", near),
    client("rower", far),
    // In the node's own network.
    client("pilot", near, { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }),
    service("all", {}),
    service("sticky", { sessionAffinity: "ClientIP" }),
    service("local", { internalTrafficPolicy: "Local" }),
    service("port", { type: "NodePort", ports: [{ name: "who", port: 80, targetPort: 7777, nodePort: 30777 }] }),
    service("port-local", {
      type: "NodePort",
      selector: { who: "near" },
      externalTrafficPolicy: "Local",
      ports: [{ name: "who", port: 80, targetPort: 7777, nodePort: 30778 }],
    }),
    service("both", {
      ports: [
        { name: "who", port: 53, targetPort: "who" },
        { name: "who-udp", port: 53, targetPort: "who-udp", protocol: "UDP" },
      ],
    }),
    service("one", { selector: { who: "near" } }),
    service("headless", { clusterIP: "None" }),
    service("elsewhere", { type: "ExternalName", externalName: "all.harbour.svc.cluster.local", selector: undefined }),
    service("by-hand", { selector: undefined }),
    service("nobody", { selector: { app: "nobody" } }),
  ] as unknown as KubeObject[];
}

/** The endpoints of a Service without a selector. */
export function byHand(address: string): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "by-hand-1", namespace, labels: { "kubernetes.io/service-name": "by-hand" } },
    addressType: "IPv4",
    ports: [{ name: "who", port: 7777, protocol: "TCP" }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  } as unknown as KubeObject;
}

export interface Addresses {
  near: string;
  far: string;
  sailor: string;
  nearNode: string;
  farNode: string;
}

/** Asks eight times, each on a connection of its own. */
const ask = (host: string, port = 80): string => `for i in 1 2 3 4 5 6 7 8; do nc -w 3 ${host} ${port}; done`;
/** The same by UDP, which the image's nc does not know: eight datagrams from a socket each, and every answer that comes within two seconds. */
export const udp = (host: string, port: number, times = 8): string =>
  `/host/node -e '${DATAGRAMS}' ${host} ${port} ${times}`;

/** Without single quotes. */
const DATAGRAMS = `
const [host, port, times] = process.argv.slice(1);
for (let index = 0; index < Number(times); index++) {
  const socket = require("node:dgram").createSocket("udp4");
  socket.on("message", (answer) => process.stdout.write(String(answer)));
  socket.on("error", (error) => console.log(error.code));
  socket.send("hello", Number(port), host);
}
setTimeout(() => process.exit(0), 2000);
`;

/** Asks the resolver for records of every kind; its argument is the address of the Pod far. Without single quotes. */
const RECORDS = `
const dns = require("node:dns").promises;
const say = async (what, asked) => {
  const found = await asked.catch((error) => error.code);
  console.log(what, typeof found === "string" || typeof found === "boolean" ? found : JSON.stringify(found.flat().sort()).replace(/10\\.96\\.\\d+\\.\\d+/, "10.96.X"));
};
const srv = async (name) => (await dns.resolveSrv(name)).map((one) => one.name + ":" + one.port);
(async () => {
  const [all] = await dns.resolve4("all.harbour.svc.cluster.local");
  const same = async (name) => (await dns.lookup(name)).address === all;
  await say("A", dns.resolve4("all.harbour.svc.cluster.local"));
  await say("AAAA", dns.resolve6("all.harbour.svc.cluster.local"));
  await say("other case", dns.resolve4("All.Harbour.SVC.cluster.local"));
  await say("SRV", srv("_who._tcp.all.harbour.svc.cluster.local"));
  await say("headless SRV", srv("_who._tcp.headless.harbour.svc.cluster.local"));
  await say("headless A", dns.resolve4("headless.harbour.svc.cluster.local"));
  await say("CNAME", dns.resolveCname("elsewhere.harbour.svc.cluster.local"));
  await say("PTR", dns.reverse(process.argv[1]));
  await say("Service PTR", dns.reverse(all));
  await say("nothing", dns.resolve4("nothing.harbour.svc.cluster.local"));
  await say("no such port", dns.resolveSrv("_what._tcp.all.harbour.svc.cluster.local"));
  await say("version", dns.resolveTxt("dns-version.cluster.local"));
  await say("short", same("all"));
  await say("with namespace", same("all.harbour"));
  await say("with svc", same("all.harbour.svc"));
})();
`;

export interface Question {
  name: string;
  /** Asked in this Pod; default: sailor. */
  from?: string;
  script(at: Addresses): string;
  /** What the answer must be like. */
  answer(at: Addresses): RegExp;
  never?(at: Addresses): RegExp;
}

const BOTH = /(?=[\s\S]*near )(?=[\s\S]*far )/;
const literal = (text: string): string => text.replaceAll(/[.[\]]/g, String.raw`\$&`);

export const QUESTIONS: Question[] = [
  {
    name: "Pods see each other's own addresses, on a node and across",
    script: ({ near, far }) => `nc -w 3 ${near} 7777; nc -w 3 ${far} 7777`,
    answer: ({ sailor }) => new RegExp(`^near ${literal(sailor)}\nfar ${literal(sailor)}\n$`),
  },
  { name: "a ClusterIP leads to all", script: () => ask("all"), answer: () => BOTH },
  {
    name: "a Pod reaches itself through its Service",
    from: "near",
    script: () => ask("one"),
    answer: () => /^(near [\d.]+\n){8}$/,
  },
  {
    name: "with affinity always the same",
    script: () => ask("sticky"),
    answer: () => /^(?:(near|far) [\d.]+\n)(?:\1 [\d.]+\n){7}$/,
  },
  {
    name: "internalTrafficPolicy Local keeps to the node",
    script: () => ask("local"),
    answer: () => /^(near [\d.]+\n){8}$/,
  },
  {
    name: "TCP and UDP share a port",
    script: () => `${ask("both", 53)}; echo; ${udp("both", 53)}`,
    answer: () => /^((near|far) [\d.]+\n){8}\n((near|far) [\d.]+\n){8}$/,
  },
  {
    name: "a node port on every node",
    script: ({ nearNode, farNode }) => `${ask(nearNode, 30777)}; ${ask(farNode, 30777)}`,
    answer: () => BOTH,
  },
  {
    name: "externalTrafficPolicy Local keeps the client's address, and serves where its Pods are only",
    script: ({ nearNode, farNode }) => `nc -w 3 ${nearNode} 30778; nc -w 3 ${farNode} 30778 || echo closed`,
    answer: ({ sailor }) => new RegExp(`^near ${literal(sailor)}\nclosed\n$`),
  },
  {
    name: "headless names give every Pod, and each its own",
    script: () => "nslookup headless.harbour.svc.cluster.local; nc -w 3 far.headless 7777",
    answer: ({ near, far }) =>
      new RegExp(`(?=[\\s\\S]*${literal(near)}\n)(?=[\\s\\S]*${literal(far)}\n)[\\s\\S]*\nfar `),
  },
  { name: "ExternalName is another name", script: () => ask("elsewhere"), answer: () => BOTH },
  {
    name: "endpoints made by hand",
    script: () => ask("by-hand"),
    answer: () => /^(far [\d.]+\n){8}$/,
  },
  {
    name: "no endpoints: refused at once",
    script: () => "time nc -w 20 nobody 80; echo ended",
    answer: () => /ended/,
    never: () => /real\s+0m 1\d/,
  },
  {
    name: "search paths, ndots, and the names of addresses",
    script: ({ near }) => `nslookup ${near}; cat /etc/resolv.conf`,
    answer: () =>
      /near\.headless\.harbour\.svc\.cluster\.local[\s\S]*\nsearch harbour\.svc\.cluster\.local svc\.cluster\.local cluster\.local.*\noptions ndots:5\n/,
  },
  {
    name: "names that are not there are not there",
    script: () => "nslookup nothing.harbour.svc.cluster.local 2>&1; true",
    answer: () => /NXDOMAIN|can't find/,
  },
  {
    name: "a Pod in the node's network knows the cluster's names and reaches Services",
    from: "pilot",
    script: () => ask("all.harbour"),
    answer: () => BOTH,
  },
  {
    name: "records of every kind, by the specification",
    from: "near",
    script: ({ far }) => `/host/node -e '${RECORDS}' ${far}`,
    answer: ({ near, far }) => {
      const lines = [
        'A ["10.96.X"]',
        "AAAA ENODATA",
        'other case ["10.96.X"]',
        'SRV ["all.harbour.svc.cluster.local:80"]',
        'headless SRV ["far.headless.harbour.svc.cluster.local:7777","near.headless.harbour.svc.cluster.local:7777"]',
        `headless A ${JSON.stringify([near, far].toSorted())}`,
        'CNAME ["all.harbour.svc.cluster.local"]',
        'PTR ["far.headless.harbour.svc.cluster.local"]',
        'Service PTR ["all.harbour.svc.cluster.local"]',
        "nothing ENOTFOUND",
        "no such port ENOTFOUND",
        'version ["1.1.0"]',
        "short true",
        "with namespace true",
        "with svc true",
      ];
      return new RegExp(`^${literal(lines.join("\n"))}\n$`);
    },
  },
];
