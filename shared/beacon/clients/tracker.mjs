// Fetches Umami's own tracker. It comes in the package of the whole of Umami,
// whose server's dependencies nobody needs for one file: the package is packed,
// checked against what was looked at, and unpacked without them.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PACKAGE = "umami@2.10.0";
const INTEGRITY = "sha512-+lmrnV0751R6U2rkIgVAlE1nWI7yZawlMlJDguW9tlFacCKhnGeCyc7tCMIhNNYIiGIQy4DEX5IzJhm4b3+dPA==";

const folder = mkdtempSync(join(tmpdir(), "umami-"));
try {
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", PACKAGE, "--json", "--ignore-scripts"], { cwd: folder, encoding: "utf8" }));
  const archive = join(folder, filename);
  const found = "sha512-" + createHash("sha512").update(readFileSync(archive)).digest("base64");
  if (found !== INTEGRITY) throw new Error(`${PACKAGE} is ${found}, not ${INTEGRITY}`);
  const to = join(import.meta.dirname, "node_modules", "umami");
  mkdirSync(to, { recursive: true });
  execFileSync("tar", ["-xzf", archive, "-C", to, "--strip-components=1", "package/src/tracker", "package/package.json", "package/LICENSE"]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
