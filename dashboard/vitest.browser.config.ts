import { defineConfig } from "vitest/config";

// One browser at a time: the pages poll, and a starved page is a flaky test.
export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
