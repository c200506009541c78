// What the tests of the script in a page have in common: one site and one
// browser for a file, and a fresh reader for each test in it.

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeEach, expect } from "vitest";
import { Site } from "./pages";
import { launchReader, read, type Reader } from "./reader";

/** withSite is called once, at the top of a file. */
export async function withSite(options: { bfcache?: boolean } = {}) {
  const site = await Site.start();
  const browser = await launchReader(options);
  let reader: Reader | null = null;

  beforeEach(() => site.reset());

  afterEach(async () => {
    await reader?.context.close();
    expect(reader?.complaints ?? []).toEqual([]);
    reader = null;
  });

  afterAll(async () => {
    await browser.close();
    await site.stop();
  });

  /** blank is the reader of a test before the first page. */
  async function blank(): Promise<Page> {
    reader = await read(browser);
    return reader.page;
  }

  /** visit opens a page of the site, in the file's browser or another one. */
  async function visit(path: string, from: Browser = browser): Promise<Page> {
    reader = await read(from, site.url + path);
    return reader.page;
  }

  /** forgive takes back what the browser itself complained of, such as of answers that are errors. */
  function forgive(): void {
    reader?.complaints.splice(0);
  }

  return { site, blank, visit, forgive };
}
