// The states that a running aggregator does not take on demand: made-up numbers
// that are known exactly, losses, hostile text, silence, failure. Only against
// the fixtures.

import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { expectAccessible } from "./axe";
import { LIGHT, query, settled, sideways, TELEPHONE } from "./browser";
import { FAILED_LOAD, withFixtures } from "./fixtures";

const { server, visit, expectNoComplaints } = await withFixtures();

const value = (page: Page, key: string) => page.locator(`[data-metric=${key}] .value .hidden`).textContent();

describe("numbers", () => {
  test("of thirty days, with their change", async () => {
    const page = await visit("/?period=30d");
    await settled(page);
    expect(await value(page, "visitors")).toBe("14,608");
    expect(await value(page, "pageviews")).toBe("38,120");
    expect(await value(page, "bounce_rate")).toBe("42%");
    expect(await value(page, "visit_duration")).toBe("2m 41s");
    const changes = await page.locator(".change").allTextContents();
    expect(changes).toEqual(["13%up 13%", "15%up 15%", "3 ptsdown 3 pts", "8%up 8%"]);
    expect(await page.locator("[data-metric=bounce_rate] .change").getAttribute("class")).toContain("good");
    expect(await page.locator("[data-metric=visitors] .note").textContent()).toBe("16,507 visits");
    expect(await page.locator(".range").textContent()).toBe("24 October – 22 November 2026");
    expect(await page.locator(".compared").textContent()).toBe("compared with 24 Sept – 23 Oct");
    expect(await page.locator(".live").textContent()).toBe("12 visitors now");
    const first = page.locator("[data-dimension=countries] tbody tr").first();
    expect(await first.textContent()).toBe("DEGermany3,93010,289");
    expect(await first.locator(".bar").evaluate((bar: HTMLElement) => bar.style.width)).toBe("100%");
    expectNoComplaints();
  });

  test("of today are set beside yesterday's, not against them", async () => {
    const page = await visit("/");
    await settled(page);
    expect(await page.locator("[data-metric=visitors] .below").textContent()).toBe("372 yesterday166 visits");
    expect(await page.locator("[data-metric=bounce_rate] .change").textContent()).toBe("5 ptsdown 5 pts");
    expectNoComplaints();
  });
});

describe("a site without visitor ids", () => {
  test.each([LIGHT, { ...TELEPHONE, dark: true }])("says what is not known, and why, once ($width)", async (look) => {
    const page = await visit("/?site=discreet&period=30d", look, true);
    await settled(page);
    for (const key of ["visitors", "bounce_rate", "visit_duration"]) {
      expect(await page.locator(`[data-metric=${key}] .value`).textContent(), key).toBe("–not known");
      expect(await page.locator(`[data-metric=${key}] .below`).textContent(), key).toBe("");
    }
    expect(await value(page, "pageviews")).toBe("38,120");
    expect(await page.locator("[data-metric=pageviews] .change").textContent()).toBe("15%up 15%");
    expect(await page.locator(".live").textContent()).toMatch(/^– visitors nowvisitors now not known\. This site records no visitor ids/);
    expect(await page.locator(".caveats li").allTextContents()).toEqual([expect.stringContaining("records no visitor ids")]);
    expect(await page.getByText("visitors not known, 38,120 page views").count()).toBe(1);
    const row = page.locator("[data-dimension=pages] tbody tr").first();
    expect(await row.locator(".count").first().textContent()).toBe("–not known");
    expect(await row.locator(".bar").evaluate((bar: HTMLElement) => bar.style.width)).toBe("100%");
    const keys = page.locator(".legend button");
    expect(await keys.first().isDisabled()).toBe(true);
    await keys.last().click(); // the only line there is stays
    expect(await keys.last().getAttribute("aria-pressed")).toBe("true");
    await page.locator(".chart").focus();
    await page.keyboard.press("ArrowLeft");
    expect(await page.locator(".chart [aria-live]").textContent()).toMatch(/^Sunday,? 22 November 2026, Visitors not known, Page views [\d,]+ so far$/);
    await expectAccessible(page, "discreet");
    await page.goto(`${page.url()}&show=table`);
    await settled(page);
    const cells = await page.locator(".chart-table tbody tr").first().locator("td").allTextContents();
    expect(cells[0]).toBe("–not known");
    expect(cells[1]).toMatch(/^[\d,]+$/);
    expect(await sideways(page)).toBe(0);
    expectNoComplaints();
  });

  test("is no other site's trouble", async () => {
    const page = await visit("/?period=30d");
    await settled(page);
    expect(await page.locator(".caveats, .not-known").count()).toBe(0);
  });
});

describe("shortcuts", () => {
  test("go on after a click on a choice", async () => {
    const page = await visit("/");
    await settled(page);
    await page.locator("input[name=period][value='7d']").check({ force: true });
    await page.keyboard.press("m");
    expect((await query(page)).get("period")).toBe("30d");
    await page.locator("input[name=form][value=table]").check({ force: true });
    await page.keyboard.press("ArrowLeft");
    expect((await query(page)).get("period"), "the arrows are the choice's").toBe("30d");
    expect((await query(page)).get("show")).toBe(null);
    expectNoComplaints();
  });
});

describe("live", () => {
  test("a new visit is on the page within two seconds, and quiet polls cost a 304", async () => {
    const page = await visit("/");
    await settled(page);
    expect(await value(page, "visitors")).toBe("147");
    await page.waitForTimeout(3_500);
    expect(server.counters.notModified).toBeGreaterThan(2);
    server.extra = 5;
    await page.waitForFunction(() => document.querySelector("[data-metric=visitors] .value .hidden")?.textContent === "152", undefined, { timeout: 2_500 });
    await page.waitForFunction(() => document.querySelector("[data-metric=visitors] .value span")?.textContent === "152");
    expectNoComplaints();
  });

  test("a hidden page asks for nothing", async () => {
    const page = await visit("/");
    await settled(page);
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForTimeout(500);
    const before = server.counters.requests;
    await page.waitForTimeout(4_000);
    expect(server.counters.requests - before).toBe(0);
  });
});

describe("loading", () => {
  test.each([LIGHT, { ...TELEPHONE, dark: true }])("moves nothing when the numbers come ($width)", async (look) => {
    server.delay = 700;
    const page = await visit("/?period=30d", look, true);
    await page.waitForSelector(".skeleton-rows");
    const boxes = () => page.evaluate(() => [...document.querySelectorAll(".sheet, .number h2, .chart-box, .breakdown")].map((node) => {
      const { top, height } = node.getBoundingClientRect();
      return `${node.className} ${Math.round(top)} ${Math.round(height)}`;
    }));
    const before = await boxes();
    server.delay = 0;
    await settled(page);
    const after = await boxes();
    const fold = look.width > 800 ? before.length : 6; // below it a telephone shows nothing yet
    expect(after.slice(0, fold)).toEqual(before.slice(0, fold));
    expectNoComplaints();
  });
});

describe("incomplete", () => {
  test.each([LIGHT, { ...TELEPHONE, dark: true }])("is said with count, time, reason and advice ($width)", async (look) => {
    server.incomplete = true;
    const page = await visit("/?period=7d", look);
    await settled(page);
    const notice = page.locator(".notice.incomplete");
    expect(await notice.locator("strong").textContent()).toBe("1,204 events of this period were not recorded.");
    await notice.locator("summary").click();
    const rows = await notice.locator("tbody tr").allTextContents();
    expect(rows[0]).toMatch(/^21 Nov, 14:02 – 14:371,089 events.*max_size.*raise max_size/);
    expect(rows[1]).toMatch(/^20 Nov, 09:15115 events.*at once/);
    const edges = await page.locator(".notice.edge strong").allTextContents();
    expect(edges).toEqual(["osl-2 is 4m 12s behind.", "rvk-1 was last heard from 3h 3m ago."]);
    await expectAccessible(page, "incomplete");
    expectNoComplaints();
  });
});

describe("text from outside", () => {
  test("is text, whatever it looks like", async () => {
    const page = await visit("/?site=hostile");
    await settled(page);
    expect(await page.locator("h1 .site-name").textContent()).toBe("<img src=x onerror=alert(1)>");
    expect(await page.title()).toBe("<img src=x onerror=alert(1)> · Eider");
    const paths = await page.locator("[data-dimension=pages] bdi").allTextContents();
    expect(paths[0]).toBe("/<script>document.title='owned'</script>");
    expect(paths).toContain("/\ufffdgnp.exe");
    expect(paths).toContain("/␀␇control");
    expect(await page.locator("#app img, #app script, #app i, #app b").count()).toBe(0);
    expect(await page.locator("[data-dimension=devices] bdi").textContent()).toBe("Unknown");
    await page.locator(".incomplete summary").click();
    expect(await page.locator(".incomplete tbody").textContent()).toContain("“<img src=x>”");
    await expectAccessible(page, "hostile");
    expectNoComplaints();
  });
});

describe("nothing there", () => {
  test("no site: the Caddyfile to write", async () => {
    server.sites = "none";
    const page = await visit("/");
    const code = await page.locator(".waiting-page pre").textContent();
    expect(code?.split("\n")).toHaveLength(10);
    expect(code).toContain(`aggregator ${server.url}`);
    await expectAccessible(page, "no site");
    server.sites = "one"; // it registers itself meanwhile
    await settled(page);
    expectNoComplaints();
  });

  test("a site without a visit waits for it", async () => {
    const page = await visit("/?site=quiet");
    await page.waitForSelector(".waiting-page");
    expect(await page.locator(".waiting-page h2").textContent()).toBe("Waiting for the first visit");
    await expectAccessible(page, "waiting");
    await page.locator(".site-picker select").selectOption("tidewater");
    await settled(page);
    expect((await query(page)).get("site")).toBe("tidewater");
    await page.goBack();
    await page.waitForSelector(".waiting-page");
    expectNoComplaints();
  });

  test("a site that only bots come to does not hide them", async () => {
    server.onlyBots = true;
    const page = await visit("/?site=quiet");
    await settled(page);
    expect(await page.locator(".waiting-page").count()).toBe(0);
    expect(await value(page, "pageviews")).toBe("0");
    expect(await page.locator(".chart-nothing").textContent()).toContain("No visits in this period");
    expect(await page.locator(".share-list").textContent()).toBe("Bots 12 100%");
    await page.locator("input[name=period][value='30d']").check({ force: true });
    await settled(page);
    expect(await page.locator(".waiting-page").count()).toBe(0);
    await expectAccessible(page, "only bots");
    expectNoComplaints();
  });

  test("days without a visit are zeros, and what can't be computed is no zero", async () => {
    const page = await visit("/?period=day&date=2026-11-01", { ...TELEPHONE, dark: false });
    await settled(page);
    expect(await value(page, "visitors")).toBe("0");
    expect(await value(page, "bounce_rate")).toBe("Can’t be computed for this period");
    expect(await page.locator(".chart-nothing").textContent()).toContain("No visits in this period");
    expect(await page.locator(".breakdown .nothing").count()).toBe(6);
    await expectAccessible(page, "nothing");
    expectNoComplaints();
  });

  test("an unknown site offers those that there are", async () => {
    const page = await visit("/?site=gone.example");
    await page.waitForSelector(".site-list");
    expect(await page.locator(".waiting-page h2").textContent()).toBe("There is no site “gone.example”");
    await expectAccessible(page, "unknown site");
    await page.locator(".site-list button").first().click();
    await settled(page);
    expectNoComplaints();
  });
});

describe("trouble", () => {
  test("from the start: says what is wrong and heals", async () => {
    server.failing = 503;
    const page = await visit("/");
    await page.waitForSelector(".trouble");
    expect(await page.locator(".trouble .lead").textContent()).toBe("The lake is being opened; wait a moment.");
    await expectAccessible(page, "trouble");
    server.failing = null;
    await settled(page);
    expectNoComplaints(FAILED_LOAD);
  });

  test("later: the numbers stay, with their age", async () => {
    const page = await visit("/?period=30d");
    await settled(page);
    server.failing = 503;
    await page.waitForSelector(".notice.failure");
    await page.waitForSelector(".live.away"); // in its own time
    expect(await page.locator(".notice.failure").textContent()).toMatch(/Numbers as of \d\d:\d\d:\d\d/);
    expect(await value(page, "visitors")).toBe("14,608");
    expect(await page.locator(".live").textContent()).toBe("Not answering");
    await expectAccessible(page, "failing");
    server.failing = null;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.waitForSelector(".notice.failure", { state: "detached" });
    expectNoComplaints(FAILED_LOAD);
  });

  test("a session that is over: reload, and there it is again", async () => {
    server.unknown = "all";
    const page = await visit("/?period=30d");
    await settled(page);
    await page.locator(".hosts summary").click();
    server.signedOut = true;
    await page.waitForSelector(".notice.failure");
    expect(await page.locator(".notice.failure strong").textContent()).toBe("A sign-in is asked for.");
    expect(await value(page, "visitors")).toBe("14,608");
    await page.getByRole("button", { name: "Add staging.tidewater.example" }).click();
    await page.waitForSelector(".hosts [role=alert]");
    expect(await page.locator(".hosts [role=alert]").textContent()).toMatch(/a sign-in is asked for\. Reload/);
    await expectAccessible(page, "signed out");
    server.signedOut = false;
    await page.locator(".notice.failure").getByRole("button", { name: "Reload" }).click();
    await settled(page);
    expect(await page.locator(".notice.failure").count()).toBe(0);
    expectNoComplaints();
  });

  test("without a network", async () => {
    const page = await visit("/?period=30d");
    await settled(page);
    await page.context().setOffline(true);
    await page.waitForSelector(".live.away");
    expect(await page.locator(".live").textContent()).toBe("Offline");
    await page.context().setOffline(false);
    await page.waitForSelector(".live.busy");
    expectNoComplaints(FAILED_LOAD);
  });
});

describe("every width", () => {
  test.each([320, 360, 768, 1024, 1280, 1920, 2560, 3840])("%i pixels: nothing scrolls sideways, nothing overlaps", async (width) => {
    server.incomplete = true;
    const page = await visit("/?period=30d", { width, height: 900, dark: false }, true);
    await settled(page);
    const report = await page.evaluate(() => {
      const cut = [...document.querySelectorAll(".number .value, .segments span, .breakdown thead th, .count, .breakdown h2")].filter(
        (node) => node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== "inline",
      );
      const overlaps = [...document.querySelectorAll(".breakdown")].filter((card) => {
        const range = document.createRange();
        range.selectNodeContents(card.querySelector("h2") ?? card);
        const head = card.querySelector("th.count")?.getBoundingClientRect();
        const words = card.querySelector("th.count");
        const text = document.createRange();
        text.selectNodeContents(words ?? card);
        return head && range.getBoundingClientRect().right > text.getBoundingClientRect().left;
      });
      return {
        sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        cut: cut.map((node) => `${node.className} ${node.textContent}`),
        overlaps: overlaps.map((card) => card.querySelector("h2")?.textContent),
      };
    });
    expect(report).toEqual({ sideways: 0, cut: [], overlaps: [] });
    expectNoComplaints();
  });
});
