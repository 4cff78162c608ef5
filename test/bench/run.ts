/** `npm run bench [-- NAME]`: runs the benchmarks one after another, or the one that is named. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

const benches = ["control-plane", "long-requests", "scheduler", "simulated", "scale", "cluster", "node"];
const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (benches.includes(name)) continue;
  console.error(`no such benchmark: ${name} (there are ${benches.join(", ")})`);
  process.exit(2);
}
for (const name of wanted.length > 0 ? wanted : benches) {
  console.log(`\n${name}`);
  const file = path.join(path.dirname(fileURLToPath(import.meta.url)), `${name}.ts`);
  const { status } = spawnSync(process.execPath, [file], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
