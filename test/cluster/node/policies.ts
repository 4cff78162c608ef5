/**
 * NetworkPolicies on real nodes, as a table: what is applied in the harbour of network.ts, and who then reaches whom. Each case
 * begins and ends with everything open.
 */
import { NAMESPACE } from "./network.ts";
import type { Addresses } from "./network.ts";

export interface Visit {
  /** The Pod that asks. */
  from: string;
  /** Host and port: what it asks. */
  to(at: Addresses): string;
  udp?: boolean;
  reaches: boolean;
}

export interface PolicyCase {
  name: string;
  specs(at: Addresses): object[];
  visits: Visit[];
}

const visit = (from: string, to: Visit["to"], reaches: boolean, more: Partial<Visit> = {}): Visit => ({
  from,
  to,
  reaches,
  ...more,
});
const near = ({ near: address }: Addresses): string => `${address} 7777`;
const far = ({ far: address }: Addresses): string => `${address} 7777`;
const all = (): string => "all 80";

const NEAR = { matchLabels: { who: "near" } };
const SAILOR = { matchLabels: { role: "sailor" } };
const DNS = {
  to: [
    {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
      podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
    },
  ],
  ports: [
    { port: 53, protocol: "UDP" },
    { port: 53, protocol: "TCP" },
  ],
};

export const POLICIES: PolicyCase[] = [
  {
    name: "nobody comes in where everything is denied, on a node and across",
    specs: () => [{ podSelector: {}, policyTypes: ["Ingress"] }],
    visits: [visit("sailor", near, false), visit("rower", near, false), visit("sailor", far, false)],
  },
  {
    name: "ingress by label and by the port's name, for one Pod only",
    specs: () => [{ podSelector: NEAR, ingress: [{ from: [{ podSelector: SAILOR }], ports: [{ port: "who" }] }] }],
    visits: [
      visit("rower", near, false),
      visit("sailor", near, true),
      visit("sailor", near, false, { udp: true }),
      visit("rower", far, true),
    ],
  },
  {
    name: "ingress by the name of a UDP port",
    specs: () => [{ podSelector: NEAR, ingress: [{ ports: [{ port: "who-udp", protocol: "UDP" }] }] }],
    visits: [visit("rower", near, false), visit("rower", near, true, { udp: true })],
  },
  {
    name: "ingress from addresses, with exceptions",
    specs: ({ sailor }) => [
      { podSelector: NEAR, ingress: [{ from: [{ ipBlock: { cidr: "10.244.0.0/16", except: [`${sailor}/32`] } }] }] },
    ],
    visits: [visit("sailor", near, false), visit("rower", near, true)],
  },
  {
    name: "ingress by namespace: several policies add up",
    specs: () => [
      { podSelector: NEAR, ingress: [{ from: [{ namespaceSelector: { matchLabels: { is: "nowhere" } } }] }] },
      {
        podSelector: NEAR,
        ingress: [
          {
            from: [
              {
                namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": NAMESPACE } },
                podSelector: SAILOR,
              },
            ],
          },
        ],
      },
    ],
    visits: [visit("rower", near, false), visit("sailor", near, true)],
  },
  {
    name: "egress to the DNS and one Pod's named port",
    specs: () => [
      {
        podSelector: SAILOR,
        policyTypes: ["Egress"],
        egress: [DNS, { to: [{ podSelector: NEAR }], ports: [{ port: "who" }] }],
      },
    ],
    visits: [
      visit("sailor", far, false),
      visit("sailor", near, true),
      visit("sailor", () => "near.headless 7777", true),
      visit("rower", far, true),
    ],
  },
  {
    name: "egress to addresses and a range of ports",
    specs: (at) => [
      {
        podSelector: SAILOR,
        policyTypes: ["Egress"],
        egress: [{ to: [{ ipBlock: { cidr: `${at.far}/32` } }], ports: [{ port: 7000, endPort: 8000 }] }],
      },
    ],
    // Names are out of reach too: the DNS is not among what is allowed.
    visits: [visit("sailor", near, false), visit("sailor", far, true), visit("sailor", all, false)],
  },
];
