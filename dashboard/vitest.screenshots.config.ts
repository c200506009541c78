import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/browser/screenshots.ts"],
    environment: "node",
    testTimeout: 400_000,
    hookTimeout: 60_000,
  },
});
