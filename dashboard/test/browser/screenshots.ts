// Takes the pictures of the documentation, and every state of the page for a
// look at it: `npm run screenshots` (SHOTS=DIR for all states).

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Browser } from "playwright-core";
import { DESKTOP, launch, type Look, open, TELEPHONE, type Watched } from "./browser";
import { FixtureServer } from "./server";

const DOCS = join(import.meta.dirname, "..", "..", "..", "docs", "images");
const EVERYTHING = process.env["SHOTS"];
const MAX_BYTES = 300 * 1024;

let browser: Browser;
let server: FixtureServer;

beforeAll(async () => {
  server = await FixtureServer.start();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

async function ready({ page }: Watched): Promise<void> {
  await page.waitForSelector(".number .value span");
  await page.waitForSelector(".reports[aria-busy=false]");
  await page.waitForTimeout(300);
}

async function shoot(name: string, path: string, look: Look, folder: string, full: boolean, prepare?: (watched: Watched) => Promise<void>) {
  const watched = await open(browser, server.url, path, look, { frozen: true, still: true });
  await (prepare ?? ready)(watched);
  const file = join(folder, `${name}.png`);
  mkdirSync(folder, { recursive: true });
  await watched.page.screenshot({ path: file, fullPage: full });
  await watched.context.close();
  return file;
}

test("pictures of the documentation", async () => {
  server.sites = "one";
  const shots = [
    await shoot("overview-light", "/?period=30d", { ...DESKTOP, dark: false }, DOCS, true),
    await shoot("overview-dark", "/?period=30d", { ...DESKTOP, dark: true }, DOCS, true),
    await shoot("overview-phone", "/?period=7d", { ...TELEPHONE, dark: false, scale: 2 }, DOCS, false),
  ];
  server.sites = "all";
  for (const file of shots) expect(statSync(file).size, file).toBeLessThan(MAX_BYTES);
});

test.runIf(EVERYTHING)("every state", async () => {
  const folder = EVERYTHING ?? "";
  for (const dark of [false, true]) {
    const shade = dark ? "dark" : "light";
    for (const [size, look] of Object.entries({ 1440: DESKTOP, 390: TELEPHONE })) {
      const name = (state: string) => `${state}-${size}-${shade}`;
      const wide = { ...look, dark };
      await shoot(name("today"), "/", wide, folder, true, async (watched) => {
        await ready(watched);
        await watched.page.locator(".plot").hover({ position: { x: look.width / 3, y: 90 } });
      });
      await shoot(name("30d"), "/?period=30d", wide, folder, true);
      server.incomplete = true;
      await shoot(name("incomplete"), "/?period=7d", wide, folder, true, async (watched) => {
        await ready(watched);
        await watched.page.locator(".incomplete summary").click();
      });
      server.incomplete = false;
      await shoot(name("table"), "/?period=30d&show=table", wide, folder, false);
      await shoot(name("12mo"), "/?period=12mo", wide, folder, false);
      await shoot(name("empty-range"), "/?period=day&date=2026-11-01", wide, folder, true);
      await shoot(name("hostile"), "/?site=hostile", wide, folder, true);
      await shoot(name("dates"), "/?period=30d", wide, folder, false, async (watched) => {
        await ready(watched);
        await watched.page.keyboard.press("c");
        await watched.page.waitForSelector(".popover");
      });
      await shoot(name("keys"), "/?period=30d", wide, folder, false, async (watched) => {
        await ready(watched);
        await watched.page.keyboard.press("?");
        await watched.page.waitForTimeout(150);
      });
      for (const tab of ["requests", "pageviews", "bots", "not-found"]) {
        await shoot(name(`traffic-${tab}`), `/?period=30d&traffic=${tab}`, wide, folder, true);
      }
      server.unknown = "all";
      server.refusing = { status: 401, code: "unauthorized", message: "show the owner's token" };
      await shoot(name("hosts"), "/?period=30d", wide, folder, true, async (watched) => {
        await ready(watched);
        await watched.page.locator(".hosts summary").click();
        await watched.page.locator(".hosts .act button").first().click();
        await watched.page.waitForSelector(".hosts .refused");
      });
      server.refusing = null;
      await shoot(name("archived"), "/?site=attic", wide, folder, false, async (watched) => {
        await watched.page.waitForSelector(".badge");
        await watched.page.waitForSelector(".hosts");
      });
      server.unknown = "none";
      const waiting = (watched: Watched) => watched.page.waitForSelector(".waiting-page").then(() => undefined);
      await shoot(name("quiet"), "/?site=quiet", wide, folder, false, waiting);
      server.sites = "none";
      await shoot(name("no-site"), "/", wide, folder, false, waiting);
      server.sites = "all";
      await shoot(name("unknown-site"), "/?site=gone", wide, folder, false, waiting);
      await shoot(name("failing"), "/?period=30d", wide, folder, false, async (watched) => {
        await ready(watched);
        server.failing = 503;
        await watched.page.waitForSelector(".notice.failure", { timeout: 10_000 });
        server.failing = null;
      });
      server.delay = 4_000;
      await shoot(name("loading"), "/?period=30d", wide, folder, true, async (watched) => {
        await watched.page.waitForSelector(".skeleton-rows", { timeout: 10_000 });
      });
      server.delay = 0;
    }
  }
  await shoot("4k-light", "/?period=30d", { width: 3840, height: 2160, dark: false }, folder, false);
  await shoot("1920-dark", "/?period=90d", { width: 1920, height: 1200, dark: true }, folder, false);
  await shoot("360-light", "/?period=30d", { width: 360, height: 740, dark: false }, folder, true);
  await shoot("820-light", "/?period=30d", { width: 820, height: 1180, dark: false }, folder, true);
});
