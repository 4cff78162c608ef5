import { describe, expect, it } from "vitest";
import { isStatus } from "../../../../common/kube/status.ts";
import { chooseType, negotiate } from "./negotiate.ts";

const table = "application/json;as=Table;v=v1;g=meta.k8s.io";

describe("negotiation", () => {
  it("gives kubectl's Accept header a Table where there is one, else JSON", () => {
    const accept = `${table},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json`;
    expect(negotiate(accept, ["Table"])).toEqual({ media: "json", as: "Table", version: "v1" });
    expect(negotiate(accept)).toEqual({ media: "json" });
  });

  it("reads parameters in any order", () => {
    expect(
      negotiate("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", ["APIGroupDiscoveryList"]),
    ).toEqual({
      media: "json",
      as: "APIGroupDiscoveryList",
      version: "v2",
    });
  });

  it("prefers JSON where both it and protobuf are welcome", () => {
    expect(negotiate("application/vnd.kubernetes.protobuf, application/json").media).toBe("json");
    expect(negotiate("application/vnd.kubernetes.protobuf").media).toBe("protobuf");
    expect(negotiate("application/json;q=0.9, application/vnd.kubernetes.protobuf").media).toBe("protobuf");
    expect(negotiate("application/vnd.kubernetes.protobuf, */*;q=0.1").media).toBe("protobuf");
  });

  it("has metadata alone in protobuf, a Table never", () => {
    const inProtobuf = (as: string): string => `application/vnd.kubernetes.protobuf;as=${as};v=v1;g=meta.k8s.io`;
    const metadata = inProtobuf("PartialObjectMetadata");
    const asJson = metadata.replace("vnd.kubernetes.protobuf", "json");
    const as = "PartialObjectMetadata";
    expect(negotiate(metadata, [as])).toEqual({ media: "protobuf", as, version: "v1" });
    expect(negotiate(`${metadata},application/json`, [as])).toEqual({ media: "protobuf", as, version: "v1" });
    expect(negotiate(`${metadata},${asJson},application/json`, [as])).toEqual({ media: "json", as, version: "v1" });
    expect(negotiate(`${inProtobuf("Table")},application/json`, ["Table"])).toEqual({ media: "json" });
    expect(() => negotiate(inProtobuf("Table"), ["Table"])).toThrow(/only the following media types/);
  });

  it("has no protobuf of what has no messages, but of its metadata", () => {
    const protobuf = "application/vnd.kubernetes.protobuf";
    expect(() => negotiate(protobuf, [], false)).toThrow(/only the following media types/);
    expect(negotiate(`${protobuf},application/yaml`, [], false)).toEqual({ media: "yaml" });
    expect(
      negotiate(`${protobuf};as=PartialObjectMetadata;v=v1;g=meta.k8s.io`, ["PartialObjectMetadata"], false),
    ).toEqual({ media: "protobuf", as: "PartialObjectMetadata", version: "v1" });
  });

  it("heeds quality", () => {
    expect(negotiate("application/json;q=0.5,application/yaml;q=0.9").media).toBe("yaml");
    expect(negotiate("application/yaml;q=0,*/*").media).toBe("json");
  });

  it("takes nothing for anything", () => {
    expect(negotiate(undefined).media).toBe("json");
  });

  it("refuses what it has not", () => {
    for (const accept of ["application/cbor", table, "application/json;as=Table;v=v9;g=meta.k8s.io"]) {
      try {
        negotiate(accept);
        expect.unreachable(accept);
      } catch (error) {
        expect(isStatus(error, "NotAcceptable")).toBe(true);
      }
    }
  });
});

describe("an endpoint's own types", () => {
  const offered = ["application/json", "application/x.v2@v1.0+protobuf"] as const;

  it("are chosen by the client's liking, the first where it says nothing", () => {
    expect(chooseType(undefined, offered)).toBe("application/json");
    expect(chooseType("application/*", offered)).toBe("application/json");
    expect(chooseType("text/html, application/x.v2@v1.0+protobuf;q=0.9, */*;q=0.1", offered)).toBe(offered[1]);
    expect(chooseType("application/x.v2@v1.0+protobuf;q=0.1,application/json", offered)).toBe("application/json");
  });

  it("are refused to whom none will do", () => {
    for (const accept of ["text/html", "application/json;q=0", "application/xml,image/*"])
      expect(() => chooseType(accept, offered)).toThrow(/only the following media types are accepted/);
  });
});
