/**
 * Holds the arrows of the house: which folder may import which. Reads every import of every source
 * file, resolves it, and prints each one that goes the wrong way. Exit code 1 when there is any.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Folder → folders it may import, itself included. The longest matching folder speaks for a file. */
const arrows = {
  common: ["common"],
  renderer: ["renderer", "preload", "common"],
  preload: ["preload", "common"],
  "main/desktop": ["main/desktop", "main/engine", "main/host", "common"],
  "main/cli": [
    "main/cli",
    "main/host",
    "main/setup",
    "main/engine",
    "main/clusters",
    "main/control-plane/run.ts",
    "common",
  ],
  "main/engine": ["main/engine", "main/host", "main/clusters", "main/machines", "main/control-plane", "common"],
  "main/clusters": ["main/clusters", "main/host", "main/machines", "main/control-plane", "common"],
  "main/machines": ["main/machines", "main/host", "vm-images/recipe.ts", "common"],
  "main/host": ["main/host"],
  "main/control-plane": ["main/control-plane", "common"],
  "main/control-plane/store": ["main/control-plane/store", "common"],
  "main/setup": ["main/setup"],
  "vm-images": ["vm-images", "common"],
};

/** Packages that belong to some folders alone. */
const packages = {
  electron: ["main/desktop", "preload"],
  vue: ["renderer"],
  dockerode: ["vm-images/agent"],
  "better-sqlite3": ["main/control-plane/store"],
};

const within = (file, folder) => file === folder || file.startsWith(`${folder}/`);
const isTest = (file) => /\.test\.ts$|\/testing\//.test(file);

function sources(folder) {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = `${folder}/${name}`;
    if (statSync(join(root, path)).isDirectory()) return name === "node_modules" ? [] : sources(path);
    return /\.(ts|mts|vue|mjs)$/.test(name) ? [path] : [];
  });
}

const problems = [];
for (const file of ["common", "main", "preload", "renderer", "vm-images"]
  .filter((f) => existsSync(join(root, f)))
  .flatMap(sources)) {
  const folder = Object.keys(arrows)
    .filter((f) => within(file, f))
    .toSorted((a, b) => b.length - a.length)[0];
  if (folder === undefined) continue;
  const text = readFileSync(join(root, file), "utf8");
  for (const [, target] of text.matchAll(
    /(?:^|\n)\s*(?:import|export)[^"'`;]*?["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/g,
  )) {
    if (target === undefined) continue;
    if (target.startsWith(".")) {
      const to = relative(root, resolve(root, dirname(file), target));
      const inHouse = /^(common|main|preload|renderer|vm-images|test)\//.test(to);
      const allowed =
        arrows[folder].some((f) => within(to, f)) ||
        (isTest(file) && (to.startsWith("test/") || to.includes("/testing/")));
      if (inHouse && !allowed)
        problems.push(`${file}: imports ${to}, but ${folder} may only import ${arrows[folder].join(", ")}`);
    } else {
      const owners = Object.entries(packages).find(([name]) => target === name || target.startsWith(`${name}/`));
      if (owners && !isTest(file) && !owners[1].some((f) => within(file, f)))
        problems.push(`${file}: imports ${target}, which belongs to ${owners[1].join(" and ")}`);
    }
  }
}

for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? "every import follows the arrows" : `${problems.length} imports go the wrong way`);
process.exit(problems.length === 0 ? 0 : 1);
