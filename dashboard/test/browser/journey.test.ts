// One reader's way through the whole page, in a real browser, at two sizes and
// in both themes. It runs against the fixtures, or, with EIDER_URL set, against
// a running aggregator: what must hold is that the page says what the API says.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { t } from "../../src/text/en";
import { formatCount, formatDuration, formatInteger, formatPercent } from "../../src/text/format";
import type { BreakdownRow, Dimension, MainStats, SeriesPoint, Site } from "../../src/api/types";
import { expectAccessible } from "./axe";
import { launch, LOOKS, open, query, settled, sideways, type Watched } from "./browser";
import { FixtureServer } from "./server";

const REAL = process.env["EIDER_URL"];
const ROWS = 8;

let browser: Browser;
let server: FixtureServer | null = null;
let base: string;

beforeAll(async () => {
  if (!REAL) server = await FixtureServer.start();
  base = REAL?.replace(/\/$/, "") ?? server?.url ?? "";
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

async function api<T>(path: string): Promise<T> {
  const response = await fetch(base + path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return (await response.json()) as T;
}

async function metric(page: Page, key: string): Promise<string> {
  return (await page.locator(`[data-metric=${key}] .value .hidden`).textContent()) ?? "";
}

async function shownRows(page: Page, dimension: Dimension): Promise<[string, string, string][]> {
  return page.locator(`[data-dimension=${dimension}] tbody tr`).evaluateAll((rows) =>
    rows.map((row) => [
      row.querySelector("bdi")?.textContent ?? "",
      row.querySelectorAll("td")[0]?.getAttribute("title") ?? "",
      row.querySelectorAll("td")[1]?.getAttribute("title") ?? "",
    ]),
  );
}

/**
 * expectNumbers compares the page with the API. A running aggregator's numbers
 * grow in between, so that it is asked until both agree.
 */
async function expectNumbers(page: Page, site: string, range: string): Promise<void> {
  await settled(page);
  await expect
    .poll(
      async () => {
        const main = await api<MainStats>(`/api/stats/main?site_id=${site}&${range}`);
        const pages = await api<BreakdownRow[]>(`/api/stats/breakdown/pages?site_id=${site}&${range}&limit=${ROWS}`);
        const os = await api<BreakdownRow[]>(`/api/stats/breakdown/os?site_id=${site}&${range}&limit=${ROWS}`);
        const numbers = (rows: BreakdownRow[]) => rows.map((row) => [row.visitors === null ? t.unknown.sign : formatInteger(row.visitors), formatInteger(row.pageviews)]);
        const wanted = {
          visitors: formatCount(main.visitors ?? 0),
          pageviews: formatCount(main.pageviews ?? 0),
          bounce: main.bounce_rate === null ? null : formatPercent(main.bounce_rate),
          duration: main.visit_duration === null ? null : formatDuration(main.visit_duration),
          paths: pages.map((row) => row.value),
          pages: numbers(pages),
          os: numbers(os),
        };
        const shown = {
          visitors: await metric(page, "visitors"),
          pageviews: await metric(page, "pageviews"),
          bounce: wanted.bounce && (await metric(page, "bounce_rate")),
          duration: wanted.duration && (await metric(page, "visit_duration")),
          paths: (await shownRows(page, "pages")).map((row) => row[0]),
          pages: (await shownRows(page, "pages")).map((row) => row.slice(1)),
          os: (await shownRows(page, "os")).map((row) => row.slice(1)),
        };
        return JSON.stringify(shown) === JSON.stringify(wanted) ? "the same" : { shown, wanted };
      },
      { timeout: 15_000, interval: 250 },
    )
    .toBe("the same");
}

const choosePeriod = (page: Page, name: string) => page.locator(`input[name=period][value="${name}"]`).check({ force: true });

async function walkPeriods(watched: Watched, site: string): Promise<void> {
  const { page } = watched;
  for (const period of ["7d", "30d", "90d", "12mo", "all", "today"]) {
    await choosePeriod(page, period);
    await expectNumbers(page, site, `period=${period}`);
    const wanted = period === "today" ? null : period;
    expect((await query(page)).get("period")).toBe(wanted);
  }
  await page.goBack();
  await expectNumbers(page, site, "period=all");
  await page.goForward();
  await expectNumbers(page, site, "period=today");
}

async function walkChart(watched: Watched, site: string): Promise<void> {
  const { page } = watched;
  await choosePeriod(page, "30d");
  await settled(page);
  await page.locator(".chart canvas").waitFor();
  const box = await page.locator(".u-over").boundingBox();
  if (!box) throw new Error("the chart has no area");
  await page.mouse.move(box.x + box.width - 3, box.y + 40);
  await page.locator(".tooltip").waitFor();
  expect(await page.locator(".tooltip").textContent()).toContain("so far");
  await page.mouse.move(2, 2);

  await page.locator(".chart").focus();
  await page.keyboard.press("Home");
  const series = await api<SeriesPoint[]>(`/api/stats/timeseries?site_id=${site}&period=30d&interval=day`);
  const first = series[0];
  expect(await page.locator(".tooltip").textContent()).toContain(`Visitors${formatInteger(first?.visitors ?? -1)}`);
  await page.keyboard.press("ArrowRight");
  expect(await page.locator(".tooltip").textContent()).toContain(`Visitors${formatInteger(series[1]?.visitors ?? -1)}`);

  await page.locator(".legend .pageviews").click();
  expect(await page.locator(".legend .pageviews").getAttribute("aria-pressed")).toBe("false");
  await page.locator(".legend .visitors").click(); // the last one stays
  expect(await page.locator(".legend .visitors").getAttribute("aria-pressed")).toBe("true");
  await page.locator(".legend .pageviews").click();

  await page.locator("input[name=form][value=table]").check({ force: true });
  await page.locator(".chart-table tbody tr").first().waitFor();
  expect(await page.locator(".chart-table tbody tr").count()).toBe(series.length);
  expect(await page.locator(".chart-table tbody tr:last-child td:first-of-type").textContent()).toBe(formatInteger(first?.visitors ?? -1));
  await page.locator("input[name=interval][value=week]").check({ force: true });
  await page.waitForFunction((days) => document.querySelectorAll(".chart-table tbody tr").length < days / 4, series.length);
  expect((await query(page)).toString()).toContain("interval=week&show=table");
  await page.reload();
  await page.locator(".chart-table tbody tr").first().waitFor();
  expect(await page.locator("input[name=interval][value=week]").isChecked()).toBe(true);
  await expectAccessible(page, "table");
  await page.locator("input[name=form][value=chart]").check({ force: true });
  await page.locator(".chart canvas").waitFor();
}

async function walkDates(watched: Watched, site: string): Promise<void> {
  const { page } = watched;
  const button = page.getByRole("button", { name: "Choose dates" });
  await button.click();
  await expectAccessible(page, "dates");
  await page.keyboard.press("Escape");
  expect(await page.locator(".popover").count()).toBe(0);
  expect(await button.evaluate((node) => node === document.activeElement)).toBe(true);
  await button.click();
  await page.locator("input[name=from]").fill("2026-11-15");
  await page.locator("input[name=to]").fill("2026-11-02");
  await page.locator(".popover .primary").click();
  await expectNumbers(page, site, "start_date=2026-11-02&end_date=2026-11-15");
  expect((await query(page)).toString()).toContain("period=custom&from=2026-11-02&to=2026-11-15");
  await page.getByRole("button", { name: "Earlier" }).click();
  expect((await query(page)).toString()).toContain("from=2026-10-19&to=2026-11-01");
  await page.getByRole("button", { name: "Later" }).click();
  expect((await query(page)).toString()).toContain("from=2026-11-02&to=2026-11-15");
  await button.click();
  await page.getByRole("button", { name: /^Yesterday/ }).click();
  await settled(page);
  expect((await query(page)).get("period")).toBe("day");
}

async function walkTables(watched: Watched, site: string): Promise<void> {
  const { page } = watched;
  await choosePeriod(page, "30d");
  await expectNumbers(page, site, "period=30d");
  const pages = await api<BreakdownRow[]>(`/api/stats/breakdown/pages?site_id=${site}&period=30d&limit=1000`);
  const card = page.locator("[data-dimension=pages]");
  if (pages.length <= ROWS) {
    expect(await card.getByRole("button").count()).toBe(0);
    return;
  }
  await card.getByRole("button", { name: "Show more pages" }).click();
  await expect.poll(() => card.locator("tbody tr").count()).toBe(Math.min(28, pages.length));
  await card.getByRole("button", { name: "Show fewer pages" }).click();
  await expect.poll(() => card.locator("tbody tr").count()).toBe(ROWS);
}

/** The report of all traffic says what the API says, whatever the numbers are. */
async function walkTraffic(watched: Watched, site: string): Promise<void> {
  const { page } = watched;
  await page.getByRole("button", { name: "Show details" }).click();
  const numbers = (selector: string) =>
    page.locator(selector).evaluateAll((cells) => cells.map((cell) => Number((cell.textContent ?? "").replace("\u2212", "-").replace(/[^\d-]/g, ""))));
  await expect
    .poll(
      async () => {
        const books = await api<{ requests: number | null; pageviews: { people: number } }>(`/api/stats/accounting?site_id=${site}&period=30d`);
        const shown = await numbers(".results td:nth-child(2)");
        const sum = shown.slice(0, -1).reduce((all, count) => all + count, 0);
        const right = books.requests === null ? shown.length === 0 : sum === books.requests && shown.at(-1) === books.requests;
        return right || { books, shown };
      },
      { timeout: 15_000, interval: 250 },
    )
    .toBe(true);
  await page.locator("input[name=traffic][value=pageviews]").check({ force: true });
  const terms = await numbers(".sum td");
  expect(terms.slice(0, -1).reduce((all, count) => all + count, 0)).toBe(terms.at(-1));
  await page.locator("input[name=traffic][value=bots]").check({ force: true });
  await page.locator("[data-table=bots] tbody:not(.skeleton-rows)").waitFor({ state: "attached" });
  await expectNoSideways(page);
  await expectAccessible(page, "all traffic");
  await page.getByRole("button", { name: "Hide details" }).click();
}

async function walkTheme(watched: Watched, dark: boolean): Promise<void> {
  const { page } = watched;
  const theme = () => page.evaluate(() => document.documentElement.dataset["theme"]);
  const button = page.getByRole("button", { name: /^Theme/ });
  expect(await theme()).toBe(dark ? "dark" : "light");
  await button.click();
  expect(await theme()).toBe("light");
  await button.click();
  expect(await theme()).toBe("dark");
  await page.reload();
  await settled(page);
  expect(await theme()).toBe("dark");
  await button.click();
  expect(await theme()).toBe(dark ? "dark" : "light");
}

async function walkKeys(watched: Watched): Promise<void> {
  const { page } = watched;
  await page.locator("body").click({ position: { x: 3, y: 3 } });
  const keys: [string, string | null][] = [["w", "7d"], ["m", "30d"], ["q", "90d"], ["y", "12mo"], ["a", "all"], ["e", "day"], ["d", null]];
  for (const [key, period] of keys) {
    await page.keyboard.press(key);
    expect((await query(page)).get("period"), key).toBe(period);
  }
  await page.keyboard.press("ArrowLeft");
  expect((await query(page)).get("period")).toBe("day");
  await page.keyboard.press("ArrowRight");
  expect((await query(page)).get("period")).toBe(null);
  await page.keyboard.press("t");
  expect((await query(page)).get("show")).toBe("table");
  await page.keyboard.press("t");
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await expectAccessible(page, "shortcuts");
  await page.getByLabel("Use single-key shortcuts").uncheck();
  await page.getByRole("button", { name: "Close" }).click();
  await page.keyboard.press("w");
  expect((await query(page)).get("period")).toBe(null);
  await settled(page);
}

async function expectNoSideways(page: Page): Promise<void> {
  expect(await sideways(page), "the page scrolls sideways").toBeLessThanOrEqual(0);
}

describe.each(LOOKS)("at %s", (_, look) => {
  test("through every control", { timeout: 120_000 }, async () => {
    const sites = await api<Site[]>("/api/sites");
    const site = sites[0]?.site_id ?? "";
    expect(site, "the aggregator has a site").not.toBe("");
    const watched = await open(browser, base, "/", look, { frozen: !REAL });
    const { page } = watched;
    await expectNumbers(page, site, "period=today");
    expect(await page.title()).toContain("Eider");
    await expectNoSideways(page);
    await expectAccessible(page, "today");
    await walkPeriods(watched, site);
    await walkChart(watched, site);
    await walkDates(watched, site);
    await walkTables(watched, site);
    await walkTraffic(watched, site);
    await walkTheme(watched, look.dark);
    await walkKeys(watched);
    await expectAccessible(page, "at the end");
    await watched.context.close();
    expect(watched.complaints).toEqual([]);
  });
});
