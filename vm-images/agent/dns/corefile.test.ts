import { describe, expect, it } from "vitest";
import { parseCorefile, zoneOf } from "./corefile.ts";

const KUBEADM = `.:53 {
    errors
    health {
       lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
}
corp.example:53 other.example {   # ours
    forward . 10.0.0.10 10.0.0.11:5353
}
lab.example {
    hosts {
        10.9.8.7 Printer.lab.example scanner.lab.example
        fallthrough
    }
    rewrite name a b
}
`;

describe("a Corefile", () => {
  it("is read as people write them", () => {
    const { zones, ignored } = parseCorefile(KUBEADM);
    expect(zones).toEqual([
      { name: ".", servers: ["node"], hosts: new Map() },
      {
        name: "corp.example",
        servers: [
          { address: "10.0.0.10", port: 53 },
          { address: "10.0.0.11", port: 5353 },
        ],
        hosts: new Map(),
      },
      { name: "other.example", servers: expect.any(Array), hosts: new Map() },
      {
        name: "lab.example",
        servers: [],
        hosts: new Map([
          ["printer.lab.example", ["10.9.8.7"]],
          ["scanner.lab.example", ["10.9.8.7"]],
        ]),
      },
    ]);
    expect(ignored).toEqual(["rewrite"]);
  });

  it("forwards a part of a zone elsewhere", () => {
    const { zones } = parseCorefile(". {\n forward sub.example 10.0.0.1\n forward . 10.0.0.2\n}\n");
    expect(zones.map(({ name }) => name)).toEqual([".", "sub.example"]);
  });

  it.each([
    [". {\n forward . 10.0.0.1\n", /missing at its end/],
    ["}\n", /line 1: a "}" too many/],
    [". {\n forward . resolver.example\n}\n", /line 2: resolver.example is no address/],
    [". {\n forward .\n}\n", /line 2: forward wants/],
    ["forward . 10.0.0.1\n", /line 1: .* not opened/],
  ])("says what is wrong with %j", (text, message) => {
    expect(() => parseCorefile(text)).toThrow(message);
  });
});

describe("the zone of a name", () => {
  const { zones } = parseCorefile(KUBEADM);
  it.each([
    ["db.corp.example", "corp.example"],
    ["CORP.example.", "corp.example"],
    ["notcorp.example", "."],
    ["debian.org", "."],
  ])("of %s", (name, zone) => {
    expect(zoneOf(zones, name)?.name).toBe(zone);
  });
});
