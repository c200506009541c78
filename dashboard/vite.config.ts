import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Below this size an answer fits into one packet either way. */
const WORTH_ZIPPING = 1024;

/** Writes FILE.gz beside every text file, so that serving costs no CPU. */
function precompress(): Plugin {
  let outDir = "dist";
  return {
    name: "precompress",
    apply: "build",
    configResolved(config) {
      outDir = config.build.outDir;
    },
    closeBundle() {
      for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(html|js|css|svg)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const plain = readFileSync(path);
        if (plain.length < WORTH_ZIPPING) continue;
        writeFileSync(`${path}.gz`, gzipSync(plain, { level: constants.Z_BEST_COMPRESSION }));
      }
    },
  };
}

export default defineConfig({
  plugins: [precompress()],
  build: {
    target: "es2022",
    // The content security policy allows no data: address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    // The aggregator checks Host and Origin, so both must be its own.
    proxy: {
      "/api": {
        target: process.env["EIDER_URL"] ?? "http://127.0.0.1:8787",
        changeOrigin: true,
        headers: { origin: process.env["EIDER_URL"] ?? "http://127.0.0.1:8787" },
      },
    },
  },
});
