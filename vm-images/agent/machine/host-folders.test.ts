import { expect, it } from "vitest";
import { mountedAt } from "./host-folders.ts";

const MOUNTINFO = `22 1 254:0 / / rw - ext4 /dev/vda rw
41 22 0:31 / /site ro,relatime shared:1 - nfs 10.0.2.2:/abc ro,vers=3,port=40100,mountport=40100
42 22 0:32 / /other rw - ext4 /dev/vdb rw`;

it.each([
  ["/site", { source: "10.0.2.2:/abc", port: 40100 }],
  ["/other", undefined],
  ["/none", undefined],
])("knows what is mounted at %s", (path, expected) => {
  expect(mountedAt(MOUNTINFO, path)).toEqual(expected);
});
