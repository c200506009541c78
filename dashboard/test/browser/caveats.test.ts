// What to know of the numbers of one table alone, which the server says in a
// header: what is shown of it, where, and to whom.

import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { expectAccessible } from "./axe";
import { LOOKS, sideways } from "./browser";
import { withFixtures } from "./fixtures";

const { server, read, expectNoComplaints } = await withFixtures();

const NOBODY = "Events without a visitor id are in no number of visitors: their readers asked for it by DNT or GPC, or the site or its proxy recorded none then.";
const REDACTED = "Paths that differ only in what the site's patterns replace are one value here; edit its option redact to tell them apart from then on.";
const nobody = `no_identity;affects="visitors";message="${NOBODY}"`;

const focused = (page: Page) => page.evaluate(() => document.activeElement?.textContent);

test.each(LOOKS)("a table says why, by keyboard and to every ear (%s)", async (_, look) => {
  server.caveats = { "breakdown/pages": `${nobody}, redact;affects="pages";message="${REDACTED}"` };
  const page = await read("/?period=30d", look);
  expect(await page.locator(".why").count(), "no other table has it").toBe(1);
  const why = page.locator("[data-dimension=pages] .why");
  const described = await page.locator("[data-dimension=pages] table").getAttribute("aria-describedby");
  expect(await page.locator(`#${described} p`).allTextContents()).toEqual([NOBODY, REDACTED]);
  expect(await why.locator("p").first().isVisible()).toBe(false);
  await page.locator(".chart").focus();
  await page.keyboard.press("Tab");
  expect(await focused(page)).toBe("About these numbers of Pages");
  await page.keyboard.press("Enter");
  expect(await why.locator("p").first().isVisible()).toBe(true);
  expect(await sideways(page)).toBe(0);
  await expectAccessible(page, "why");
  // It stays as long as the answer, which is confirmed by 304 every second.
  await page.waitForTimeout(2_500);
  expect(await why.locator("p").allTextContents()).toEqual([NOBODY, REDACTED]);
  expect(await why.getAttribute("open")).not.toBeNull();
  expectNoComplaints();
});

test("what is said above is not said again in each table", async () => {
  const message = "This site records no visitor ids, so that visitors and visits can't be counted; switch its option no_visitor_id off to count them from then on.";
  server.caveats = { "breakdown/pages": `no_visitor_id;affects="visitors";message="${message}"`, "breakdown/os": nobody };
  const page = await read("/?site=discreet&period=30d");
  expect(await page.locator(".caveats li").allTextContents()).toEqual([message]);
  expect(await page.locator(".why").evaluateAll((all) => all.map((one) => one.closest("[data-dimension]")?.getAttribute("data-dimension")))).toEqual(["os"]);
  expectNoComplaints();
});

test("the chart says why, too, as a table as well", async () => {
  server.caveats = { timeseries: nobody };
  const page = await read("/?period=30d");
  await page.locator(".time-series .why summary").click();
  expect(await page.locator(".time-series .why p").textContent()).toBe(NOBODY);
  await page.keyboard.press("t");
  await page.waitForSelector(".chart-table");
  expect(await page.locator(".time-series .why p").isVisible()).toBe(true);
  await expectAccessible(page, "chart");
  expectNoComplaints();
});

test("tables of all traffic say only what is about something in them", async () => {
  server.caveats = { "breakdown/bots": nobody, "breakdown/downloads": nobody };
  const page = await read("/?period=30d&traffic=bots");
  await page.waitForSelector("[data-table=bots] tbody:not(.skeleton-rows) tr");
  expect(await page.locator(".why").count(), "bots are not shown with visitors").toBe(0);
  await page.locator("input[name=traffic][value=downloads]").check({ force: true });
  await page.locator("[data-table=downloads] .why summary").click();
  expect(await page.locator("[data-table=downloads] .why p").textContent()).toBe(NOBODY);
  await expectAccessible(page, "downloads");
  expectNoComplaints();
});

test("its words are text, and what can't be read harms nothing", async () => {
  server.caveats = {
    "breakdown/pages": 'redact;affects="pages";message="<img src=x onerror=alert(1)> \\"a\\" \\\\"',
    "breakdown/os": 'no_identity;affects="visitors";message="cut',
  };
  const page = await read("/?period=30d");
  expect(await page.locator(".why p").allTextContents()).toEqual(['<img src=x onerror=alert(1)> "a" \\']);
  expect(await page.locator("#app img").count()).toBe(0);
  expect(await page.locator("[data-dimension=os] tbody tr").count()).toBeGreaterThan(3);
  expectNoComplaints();
});
