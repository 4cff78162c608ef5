#!/usr/bin/env node
/** What `npx drydock` runs: finds Node 24 and the command line, built or, when the sources are newer, from source. */
import { join } from "node:path";
import { controlPlaneFlags } from "../host/control-plane-flags.mjs";
import { node24, nodeEnvironment, root } from "../setup/root.mjs";
import { become } from "../setup/run.mjs";
import { isBuilt } from "../setup/steps.mjs";

const node = node24();
if (node === undefined) {
  console.error("drydock: Drydock is not set up here yet: run `npm start` once in its folder");
  process.exit(1);
}
const entry = isBuilt() ? join(root, "out/main/cli.js") : join(root, "main/cli/main.ts");
const args = process.argv.slice(2);
become(node, [...(args[0] === "control-plane" ? controlPlaneFlags : []), entry, ...args], nodeEnvironment());
