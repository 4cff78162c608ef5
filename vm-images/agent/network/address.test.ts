import { describe, expect, it } from "vitest";
import { contains, formatAddress, gatewayOf, nextAddress, parseAddress, parseCidr } from "./address.ts";

describe("addresses", () => {
  it("reads and writes", () => {
    expect(formatAddress(parseAddress("10.244.255.1"))).toBe("10.244.255.1");
    expect(formatAddress(parseAddress("255.255.255.255"))).toBe("255.255.255.255");
    expect(() => parseAddress("10.1.1")).toThrow("not an IPv4");
    expect(() => parseCidr("10.0.0.0")).toThrow("not an IPv4 block");
  });

  it("knows what a block holds", () => {
    const block = parseCidr("10.244.3.7/24");
    expect(gatewayOf(block)).toBe("10.244.3.1");
    expect(contains(block, "10.244.3.255")).toBe(true);
    expect(contains(block, "10.244.4.0")).toBe(false);
  });
});

describe("nextAddress", () => {
  const block = parseCidr("10.244.3.0/29");

  it("begins after the gateway and goes round without giving one twice", () => {
    const taken = new Set<string>();
    let last: string | undefined;
    const given: string[] = [];
    for (;;) {
      const next = nextAddress(block, taken, last);
      if (!next) break;
      taken.add(next);
      given.push(next);
      last = next;
    }
    expect(given).toEqual(["10.244.3.2", "10.244.3.3", "10.244.3.4", "10.244.3.5", "10.244.3.6"]);
  });

  it("lets a freed address rest until the others were used", () => {
    expect(nextAddress(block, new Set(["10.244.3.3"]), "10.244.3.3")).toBe("10.244.3.4");
    expect(nextAddress(block, new Set(), "10.244.3.6")).toBe("10.244.3.2");
  });
});
