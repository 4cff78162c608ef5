/** The container images that came with the node: loaded into Docker once, in the template. */
import { createReadStream } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../log.ts";
import type { Runtime } from "../runtime/runtime.ts";

const FOLDER = "/usr/lib/drydock/images";
const LOADED = "/var/lib/drydock/images-loaded";

export async function loadShippedImages(runtime: Runtime, log: Log): Promise<void> {
  const present = new Set((await runtime.images()).flatMap(({ names }) => names));
  for (const file of await readdir(FOLDER).catch(() => [] as string[])) {
    // drydock.local-nginx-1.tar is drydock.local/nginx:1
    const name = file.replace(/\.tar$/, "").replace(/^([^-]+)-(.+)-([^-]+)$/, "$1/$2:$3");
    if (present.has(name)) continue;
    const begin = performance.now();
    const loaded = await runtime.load(createReadStream(join(FOLDER, file)));
    log.info("images", `${loaded.join(", ")} loaded in ${Math.round(performance.now() - begin)} ms`);
  }
  await writeFile(LOADED, "");
}
