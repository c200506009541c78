// Numbers and names that no site should have, and that somebody will have: the
// page keeps its shape, and says what they are.

import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { expectAccessible } from "./axe";
import { DESKTOP, type Look, settled, TELEPHONE } from "./browser";
import { withFixtures } from "./fixtures";

const { visit, expectNoComplaints } = await withFixtures();

/** The largest whole number of JSON that is exact, and one that is not. */
const BIG = Number.MAX_SAFE_INTEGER;
const BIGGER = 2 ** 64;
const NAME = "n".repeat(300);
const HOST = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(57)}`;

const TOTALS = { visitors: BIG, pageviews: BIGGER, visits: BIG, bounce_rate: 0.999, visit_duration: 8_640_000, views_per_visit: 2.5 };
const ANSWERS: Record<string, unknown> = {
  main: { ...TOTALS, comparison: { ...TOTALS, visitors: BIG - 1 } },
  timeseries: [{ date: "2026-11-22T09:00:00", visitors: BIG, pageviews: BIGGER }],
  realtime: { current_visitors: BIG, pageviews: BIG, window_minutes: 5 },
  accounting: {
    requests: BIG,
    results: { pageview: 1, bot: BIG - 6, [NAME]: 5 },
    pageviews: { recorded: BIG, activated: BIG, script_only: BIG, cached: BIG, reclassified: BIG, people: BIG },
    edges: [{ edge: NAME, name: NAME, version: "", captured: BIG, stored: 1, queued: BIG, dropped: 1, rejected: 0, lost: 0, lag_ms: BIG, clock_skew_ms: BIG, last_seen: null }],
    incomplete: [{ from: "2026-11-22T08:00:00Z", to: "2026-11-22T08:00:00Z", count: BIG, reason: NAME }],
    identity_changed: Array.from({ length: 40 }, (_, i) => `2026-11-22T0${i % 10}:00:00Z`),
  },
};
const ROWS = [
  { value: `/${"W".repeat(2_000)}`, visitors: BIG, pageviews: BIGGER, events: BIG },
  { value: "   ", visitors: 1, pageviews: 1, events: 1 },
  { value: "عربي/مسار", visitors: null, pageviews: 0, events: 1 },
];

async function absurd(path: string, look: Look): Promise<Page> {
  const page = await visit(path, look, true);
  await page.route("**/api/stats/**", (route) => {
    const name = new URL(route.request().url()).pathname.slice("/api/stats/".length);
    return route.fulfill({ json: ANSWERS[name] ?? ROWS });
  });
  await page.route("**/api/sites/unknown", (route) => route.fulfill({ json: [{ host: HOST, requests: BIG, last_seen: "2026-11-22T08:00:00Z" }] }));
  await page.reload();
  await settled(page);
  await page.waitForSelector(".hosts");
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  return page;
}

/** cut is what stands out of its place, or is cut off in it, other than a name. */
const cut = (page: Page) =>
  page.evaluate(() => [
    ...[...document.querySelectorAll(".number .value, .count, .sums dd")]
      .filter((node) => node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== "inline")
      .map((node) => node.textContent),
    ...[document.documentElement].filter((root) => root.scrollWidth > root.clientWidth).map((root) => `sideways by ${root.scrollWidth - root.clientWidth}`),
  ]);

test.each<[string, Look]>([
  ["1440", { ...DESKTOP, dark: false }],
  ["390", { ...TELEPHONE, dark: true }],
])("nothing leaves its place (%s)", async (_, look) => {
  const page = await absurd("/?site=hostile&traffic=requests", look);
  await page.waitForSelector("[data-result]");
  expect(await cut(page)).toEqual([]);
  await expectAccessible(page, "requests");
  for (const tab of ["pageviews", "bots"]) {
    await page.locator(`input[name=traffic][value=${tab}]`).check({ force: true });
    await page.waitForSelector(tab === "bots" ? "[data-table=bots] tbody:not(.skeleton-rows) tr" : ".sum");
    expect(await cut(page), tab).toEqual([]);
  }
  expect(await page.locator("[data-metric=visitors] .value .hidden").textContent()).toBe("9.01E15");
  expect(await page.locator("[data-metric=visitors] .value").getAttribute("title")).toBe("9,007,199,254,740,991");
  expect(await page.locator(".notice.identity strong").allTextContents()).toEqual(["Visitors were told apart anew 40 times, last from 22 Nov, 09:00 UTC on."]);
  expectNoComplaints();
});
