// What tests against the fixtures have in common: one server and one browser
// for a file, and a fresh page for each test in it.

import type { Page } from "playwright-core";
import { afterAll, afterEach, expect } from "vitest";
import { launch, LIGHT, type Look, open, settled, type Watched } from "./browser";
import { FixtureServer } from "./server";

/** What the browser itself complains of where an answer is an error. */
export const FAILED_LOAD = /^error: Failed to load resource/;

/** withFixtures is called once, at the top of a file. */
export async function withFixtures() {
  const server = await FixtureServer.start();
  const browser = await launch();
  let watched: Watched | null = null;

  afterEach(async () => {
    await watched?.context.close();
    watched = null;
    server.reset();
  });

  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  /** visit opens the page of a test. */
  async function visit(path: string, look: Look = LIGHT, still = false): Promise<Page> {
    watched = await open(browser, server.url, path, look, { frozen: true, still });
    return watched.page;
  }

  /** read opens it without motion and waits for its numbers. */
  async function read(path: string, look: Look = LIGHT): Promise<Page> {
    const page = await visit(path, look, true);
    await settled(page);
    return page;
  }

  /** A test whose page complained about nothing but what it had to. */
  function expectNoComplaints(...allowed: RegExp[]): void {
    expect(watched?.complaints.filter((complaint) => !allowed.some((pattern) => pattern.test(complaint)))).toEqual([]);
  }

  return { server, visit, read, expectNoComplaints };
}
