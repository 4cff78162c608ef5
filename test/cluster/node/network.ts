/**
 * What Pods may expect of the cluster's network: two servers and a client on each of two nodes, a Service of every kind, and a
 * table of questions asked from inside, with what must come back.
 */
import type { KubeObject } from "../../../common/kube/object.ts";
import { once } from "./case.ts";
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
const client = (name: string, nodeName: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace },
  spec: { ...once("sleep 3600"), nodeName },
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
const udp = (host: string, port: number): string =>
  `for i in 1 2 3 4 5 6 7 8; do echo hello | nc -u -w 2 ${host} ${port}; done`;

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
const literal = (text: string): string => text.replaceAll(".", String.raw`\.`);

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
    script: () => ask("both", 53) + "; echo; " + udp("both", 53),
    answer: () => /(near|far) [\d.]+\n[\s\S]*\n\n[\s\S]*(near|far) /,
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
    script: () => "nslookup headless; nslookup far.headless",
    answer: ({ near, far }) => new RegExp(`(?=[\\s\\S]*${literal(near)})(?=[\\s\\S]*${literal(far)})`),
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
    name: "search paths, and addresses by name",
    script: ({ near }) =>
      `nslookup all.harbour; nslookup all.harbour.svc.cluster.local; nslookup ${near}; cat /etc/resolv.conf`,
    answer: () => /near\.headless\.harbour\.svc\.cluster\.local[\s\S]*search harbour\.svc\.cluster\.local svc/,
  },
  {
    name: "names that are not there are not there",
    script: () => "nslookup nothing.harbour.svc.cluster.local 2>&1; true",
    answer: () => /NXDOMAIN|can't find/,
  },
];
