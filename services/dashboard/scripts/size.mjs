// Prints what each page loads, gzipped, and fails when the first load is above its budget.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET_KB = 150;
const manifest = JSON.parse(readFileSync("dist/.vite/manifest.json", "utf8"));

const gzipped = (file) => gzipSync(readFileSync(join("dist", file)), { level: 9 }).length / 1000;

function filesOf(key, seen = new Set()) {
  const chunk = manifest[key];
  if (seen.has(chunk.file)) return seen;
  seen.add(chunk.file);
  for (const css of chunk.css ?? []) seen.add(css);
  for (const imported of chunk.imports ?? []) filesOf(imported, seen);
  return seen;
}

const sum = (files) => [...files].reduce((total, file) => total + gzipped(file), 0);

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const first = filesOf(entry);
for (const file of ["index.html", "theme.js"]) first.add(file);
const total = sum(first);
console.log(`first load   ${total.toFixed(1).padStart(7)} kB gz of ${BUDGET_KB}`);
for (const file of first) console.log(`  ${gzipped(file).toFixed(1).padStart(7)}  ${file}`);
for (const key of Object.keys(manifest).filter((name) => manifest[name].isDynamicEntry)) {
  const more = [...filesOf(key)].filter((file) => !first.has(file));
  console.log(`+ ${sum(more).toFixed(1).padStart(7)} kB gz  ${key}`);
}
if (total > BUDGET_KB) {
  console.error(`The first load is ${(total - BUDGET_KB).toFixed(1)} kB above its budget.`);
  process.exit(1);
}
