import { expect, it } from "vitest";
import { installsAll } from "./installer.mjs";

it.each([
  ["18.20.4", false], // Debian 12
  ["20.18.0", false],
  ["20.19.2", true], // Debian 13
  ["22.11.0", false],
  ["22.12.0", true],
  ["24.21.0", true],
])("Node %s installs all packages: %s", (version, all) => expect(installsAll(version)).toBe(all));
