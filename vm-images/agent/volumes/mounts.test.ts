import { expect, it } from "vitest";
import { mountPoints, remoteMountPoints } from "./mounts.ts";

const INFO = `22 1 254:0 / / rw shared:1 - ext4 /dev/root rw
40 22 0:30 / /var/lib/drydock/pods/a/volumes/emptyDir/m rw - tmpfs drydock rw
41 40 0:31 / /var/lib/drydock/pods/a/volumes/emptyDir/m/with\\040space rw - nfs4 s:/ rw
42 22 0:32 / /var/lib/drydock/pods/ab rw - tmpfs drydock rw
`;

it("finds what is mounted at a folder or below, the innermost first, and nothing beside it", () => {
  expect(mountPoints(INFO, "/var/lib/drydock/pods/a")).toEqual([
    "/var/lib/drydock/pods/a/volumes/emptyDir/m/with space",
    "/var/lib/drydock/pods/a/volumes/emptyDir/m",
  ]);
  expect(mountPoints(INFO, "/var/lib/drydock/pods/b")).toEqual([]);
});

it("knows which are served by another computer", () => {
  expect([...remoteMountPoints(INFO)]).toEqual(["/var/lib/drydock/pods/a/volumes/emptyDir/m/with space"]);
});
