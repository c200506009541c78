// All traffic and the hosts that are no sites: what is said, what opens, what a
// refusal looks like, and text from outside that wants to be more.

import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { expectAccessible } from "./axe";
import { LIGHT, LOOKS, query, sideways } from "./browser";
import { FAILED_LOAD, withFixtures } from "./fixtures";

const { server, visit, read, expectNoComplaints } = await withFixtures();

const words = (page: Page, selector: string) =>
  page.locator(selector).evaluateAll((nodes) => nodes.map((node) => (node as HTMLElement).innerText.replace(/\s+/g, " ").trim()));
const tab = (page: Page, name: string) => page.locator(`input[name=traffic][value="${name}"]`);
const focused = (page: Page) => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");

/** markedPixels counts the pixels of the chart that have the colour of a mark, which nothing else in it has. */
function markedPixels(page: Page): Promise<number> {
  return page.locator(".plot canvas").evaluate((node) => {
    const canvas = node as HTMLCanvasElement;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i] === 0x6d && data[i + 1] === 0x4a && data[i + 2] === 0x0e) count++;
    return count;
  });
}

describe("all traffic", () => {
  test.each(LOOKS)("people and everything else, side by side (%s)", async (_, look) => {
    const page = await read("/?period=30d", look);
    expect(await words(page, ".traffic .sums > div")).toEqual(["Page views of people 38,120", "Requests in all 909,470"]);
    expect(await words(page, ".share-list li")).toEqual([
      "Pages 39,204 4%",
      "Bots 268,310 30%",
      "Errors 7,406 < 1%",
      "Downloads and feeds 22,489 2%",
      "Parts of pages 443,121 49%",
      "Everything else 128,940 14%",
    ]);
    const widths = await page.locator(".share").evaluateAll((parts) => parts.map((part) => part.getBoundingClientRect().width));
    const bar = widths.reduce((a, b) => a + b, 0);
    expect(widths[1]! / bar).toBeCloseTo(268310 / 909470, 1);
    expect(await page.locator(".traffic-details").isVisible()).toBe(false);

    await page.getByRole("button", { name: "Show details" }).click();
    expect((await query(page)).get("traffic")).toBe("requests");
    for (const name of ["requests", "pageviews", "bots", "crawlers", "not-found", "downloads"]) {
      await tab(page, name).check({ force: true });
      expect((await query(page)).get("traffic")).toBe(name);
      await page.waitForSelector(".traffic-details tbody:not(.skeleton-rows) tr");
      expect(await sideways(page), name).toBe(0);
      await expectAccessible(page, name);
    }
    await page.getByRole("button", { name: "Hide details" }).click();
    expect((await query(page)).get("traffic")).toBe(null);
    expect(await page.locator(".traffic-details").isVisible()).toBe(false);
    expectNoComplaints();
  });

  test.each([320, 760, 1180, 2560])("%i pixels: nothing scrolls sideways, opened at anything", async (width) => {
    server.unknown = "all";
    const page = await read("/?period=30d&traffic=requests", { width, height: 900, dark: false });
    await page.locator(".hosts summary").click();
    for (const name of ["requests", "pageviews", "bots", "not-found"]) {
      await tab(page, name).check({ force: true });
      await page.waitForSelector(".traffic-details tbody:not(.skeleton-rows) tr");
      expect(await sideways(page), name).toBe(0);
      const cut = await page.locator(".traffic .count, .traffic .sums dd, .traffic .tabs span, .hosts .count").evaluateAll((nodes) =>
        nodes.filter((node) => node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== "inline").map((node) => node.textContent),
      );
      expect(cut, name).toEqual([]);
    }
    expectNoComplaints();
  });

  test("every request has a plain reason, and they sum to all", async () => {
    const page = await read("/?period=30d&traffic=requests");
    expect((await words(page, "[data-result=health_check]"))[0]).toBe("Health checks A load balancer or an orchestrator asked whether the site is alive. 43,200 5%");
    const rows = await words(page, ".results tbody td:nth-child(2)");
    const sum = rows.reduce((all, row) => all + Number(row.replaceAll(",", "")), 0);
    expect((await words(page, ".results tfoot"))[0]).toBe("Requests in all 909,470 100%");
    expect(sum).toBe(909_470);
    expect(await page.locator(".results .meaning").count()).toBe(rows.length);
  });

  test("people's page views are a sum that can be followed", async () => {
    const page = await read("/?period=30d&traffic=pageviews");
    expect(await markedPixels(page), "no mark where no salts were lost").toBe(0);
    expect(await words(page, ".sum tr td")).toEqual(["36,911", "+ 1,204", "+ 402", "+ 1,688", "− 2,085", "38,120"]);
  });

  test("by keyboard alone", async () => {
    const page = await read("/?period=30d");
    await page.getByRole("button", { name: "Show details" }).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    expect((await query(page)).get("traffic")).toBe("bots");
    expect((await query(page)).get("period"), "the arrows are the tabs' here").toBe("30d");
    await page.waitForSelector("[data-table=bots] tbody:not(.skeleton-rows) tr");
    await page.keyboard.press("Tab");
    expect(await focused(page)).toBe("Show more bots");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("[data-table=bots] tbody tr").count()).toBe(11);
    await page.goBack();
    expect((await query(page)).get("traffic")).toBe("pageviews");
    expectNoComplaints();
  });

  test("a table is asked for only while it is open", async () => {
    const page = await read("/?period=30d");
    const asked: string[] = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.waitForTimeout(2_500);
    expect(asked.filter((path) => /bots|crawlers|not-found|downloads/.test(path))).toEqual([]);
    await page.getByRole("button", { name: "Show details" }).click();
    await tab(page, "bots").check({ force: true });
    await page.waitForSelector("[data-table=bots] tbody:not(.skeleton-rows) tr");
    expect(asked).toContain("/api/stats/breakdown/bots");
    expect(await words(page, "[data-table=bots] tbody bdi")).toContain("No language, No client hints");
    expectNoComplaints();
  });

  test("nothing there is said, and no zero is made up", async () => {
    server.sites = "all";
    const page = await read("/?site=hostile&traffic=downloads");
    expect(await page.locator(".traffic-details .nothing").textContent()).toBe("No downloads in this period");
    await tab(page, "not-found").check({ force: true });
    await expect.poll(() => page.locator(".traffic-details .nothing").textContent()).toBe("Nothing was missing in this period");
    expectNoComplaints();
  });

  test("no edge reported: said, not zero", async () => {
    // Days without requests: the books have none, whatever page views an import brought.
    server.noRequests = true;
    const page = await read("/?period=30d&traffic=requests");
    expect((await words(page, ".traffic .sums > div"))[1]).toMatch(/^Requests in all –/);
    expect(await page.locator(".traffic .nothing").first().textContent()).toContain("No proxy reported requests of this period.");
    await expectAccessible(page, "no requests");
    expectNoComplaints();
  });

  test("books and tables that can't be had leave the rest of the page alone, and heal", async () => {
    server.noBooks = true;
    server.noTables = true;
    const page = await read("/?period=30d&traffic=bots");
    expect(await page.locator(".traffic > .nothing").textContent()).toContain("can’t be read just now");
    await page.locator(".traffic-details .refused").waitFor();
    expect(await page.locator(".traffic-details .refused").textContent()).toContain("There is no site");
    await expectAccessible(page, "no books");
    server.noBooks = false;
    server.noTables = false;
    await page.waitForSelector("[data-table=bots] tbody:not(.skeleton-rows) tr");
    await page.waitForSelector(".share-list");
    expectNoComplaints(FAILED_LOAD);
  });

  test("a table that fails shows no rows of other days", async () => {
    const page = await read("/?period=30d&traffic=bots");
    await page.waitForSelector("[data-table=bots] tbody:not(.skeleton-rows) tr");
    server.noTables = true;
    await page.keyboard.press("w");
    await page.locator(".traffic-details .refused").waitFor();
    expect(await page.locator("[data-table=bots] tbody tr").count()).toBe(0);
    expect(await page.locator(".traffic .sums").count()).toBe(1);
    server.noTables = false;
    await page.waitForSelector("[data-table=bots] tbody:not(.skeleton-rows) tr");
    expect(await page.locator(".traffic-details .refused").count()).toBe(0);
    expectNoComplaints(FAILED_LOAD);
  });

  test("text from outside stays text", async () => {
    const page = await read("/?site=hostile&traffic=bots");
    await page.waitForSelector("[data-table=bots] tbody:not(.skeleton-rows) tr");
    expect(await words(page, "[data-table=bots] bdi")).toEqual(["<script>alert(1)</script>", "\ufffdtobelgooG", "__proto__", "Unknown"]);
    await tab(page, "requests").check({ force: true });
    await page.waitForSelector("[data-result]");
    expect((await words(page, ".results tbody th"))).toEqual([
      "Page views A person’s browser opened a page and got it.",
      "<b>bot</b> This page does not know it yet: the aggregator is newer.",
      "constructor This page does not know it yet: the aggregator is newer.",
    ]);
    expect(await page.locator(".notice.identity").textContent()).toContain("<img src=x onerror=alert(1)>");
    expect(await page.locator("#app img, #app script, #app i, #app b").count()).toBe(0);
    expectNoComplaints();
  });

  test("lost salts are said with their moment", async () => {
    server.incomplete = true;
    const page = await read("/?period=30d");
    expect(await page.locator(".notice.identity").textContent()).toBe(
      "Visitors were told apart anew from 18 Nov, 03:00 on. The keys that identities are made with were lost. Who came before and after is counted as two visitors.",
    );
    expect(await markedPixels(page)).toBeGreaterThan(60);
    const chart = page.locator(".chart");
    await chart.focus();
    await page.keyboard.press("Home");
    expect(await page.locator(".tooltip .marked").count()).toBe(0);
    await page.keyboard.press("End");
    for (let back = 0; back < 4; back++) await page.keyboard.press("ArrowLeft");
    expect(await page.locator(".tooltip").textContent()).toMatch(/^Wednesday.* 18 November 2026.*Visitors told apart anew$/);
    expect(await chart.locator("[aria-live]").textContent()).toMatch(/\. Visitors told apart anew$/);
    await page.keyboard.press("t");
    expect(await words(page, ".chart-table tr:has(.marked) th")).toEqual(["Wed, 18 Nov 2026 Visitors told apart anew"]);
    await expectAccessible(page, "marked");
    expectNoComplaints();
  });
});

describe("hosts that are no sites", () => {
  const summary = (page: Page) => page.locator(".hosts summary");

  test("are no line where there are none", async () => {
    const page = await read("/");
    await page.waitForTimeout(300);
    expect(await page.locator(".hosts").count()).toBe(0);
  });

  test.each(LOOKS)("are listed, and one is added (%s)", async (_, look) => {
    server.unknown = "all";
    const page = await read("/", look);
    expect((await words(page, ".hosts summary"))[0]).toBe("3 hosts are seen that are no sites. Show them");
    await expectAccessible(page, "closed");
    await summary(page).focus();
    await page.keyboard.press("Enter");
    expect(await words(page, ".hosts tbody bdi")).toEqual(["staging.tidewater.example", "<img src=x onerror=alert(1)>.example", "203.0.113.7"]);
    expect(await page.locator("#app img").count()).toBe(0);
    expect(await sideways(page)).toBe(0);
    await expectAccessible(page, "hosts");
    await page.keyboard.press("Tab");
    expect(await focused(page)).toBe("Add staging.tidewater.example");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".hosts .added");
    expect(await page.locator(".hosts .added").textContent()).toContain("staging.tidewater.example is a site now.");
    await expect.poll(() => page.locator(".hosts tbody tr").count()).toBe(2);
    await expect.poll(() => focused(page)).toBe("Show staging.tidewater.example");
    await expectAccessible(page, "added");
    expect(server.added).toEqual(["staging.tidewater.example"]);
    await expect.poll(() => page.locator(".site-picker option").first().textContent()).toBe("staging.tidewater.example");
    expect(await page.locator("h1 .site-name").textContent(), "nothing but a click goes to another site").toBe("tidewater.example");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".waiting-page");
    expect(await page.locator("h1 .site-name").textContent()).toBe("staging.tidewater.example");
    expectNoComplaints();
  });

  test.each<[string, { status: number; code: string; message: string }, RegExp]>([
    ["from afar", { status: 401, code: "unauthorized", message: "show the token" }, /only on the aggregator’s own machine: “eider site add staging\.tidewater\.example”\.$/],
    ["known already", { status: 409, code: "site_exists", message: "that is a name of the site x" }, /is a name of a site already/],
    ["no host name", { status: 400, code: "invalid", message: "that is <b>no</b> host name" }, /was not added: that is <b>no<\/b> host name$/],
    ["no aggregator", { status: 502, code: "", message: "" }, /the aggregator does not answer/],
  ])("a refusal says what to do: %s", async (_, refusing, says) => {
    server.unknown = "all";
    server.refusing = refusing;
    const page = await read("/");
    await summary(page).click();
    await page.getByRole("button", { name: "Add staging.tidewater.example" }).click();
    await page.waitForSelector(".hosts [role=alert]");
    expect(await page.locator(".hosts [role=alert]").textContent()).toMatch(says);
    expect(await page.locator(".hosts b").count()).toBe(0);
    await expectAccessible(page, "refused");
    // It can be tried again, and then is done.
    server.refusing = null;
    await page.getByRole("button", { name: "Add staging.tidewater.example" }).click();
    await page.waitForSelector(".hosts .added");
    expect(await page.locator(".hosts [role=alert]").count()).toBe(0);
    expectNoComplaints(FAILED_LOAD);
  });

  test("one that was added elsewhere meanwhile is said, and the keyboard is not lost", async () => {
    server.unknown = "all";
    const page = await visit("/");
    await summary(page).click();
    server.added.push("staging.tidewater.example");
    server.refusing = { status: 409, code: "site_exists", message: "that is a name of the site x" };
    await page.getByRole("button", { name: "Add staging.tidewater.example" }).focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator(".hosts tbody tr").count()).toBe(2);
    await expect.poll(() => focused(page)).toMatch(/^staging\.tidewater\.example is a name of a site already/);
    await expect.poll(() => page.locator(".site-picker option").first().textContent()).toBe("staging.tidewater.example");
    await expectAccessible(page, "known");
    expectNoComplaints(FAILED_LOAD);
  });

  test("a host's name never gets into a command that is there to be copied", async () => {
    server.unknown = "all";
    server.refusing = { status: 401, code: "unauthorized", message: "" };
    const page = await read("/");
    await summary(page).click();
    await page.getByRole("button", { name: /^Add <img/ }).click();
    await page.waitForSelector(".hosts [role=alert]");
    expect(await page.locator(".hosts [role=alert]").textContent()).toContain("“eider site add HOST”");
    expectNoComplaints(FAILED_LOAD);
  });

  test("of many, the most asked for come first", async () => {
    server.unknown = "many";
    const page = await read("/");
    await summary(page).click();
    expect(await page.locator(".hosts tbody tr").count()).toBe(10);
    await page.getByRole("button", { name: "Show 14 more" }).click();
    expect(await page.locator(".hosts tbody tr").count()).toBe(24);
  });

  test("are offered before there is any site", async () => {
    server.sites = "none";
    server.unknown = "all";
    const page = await visit("/", LIGHT, true);
    await page.waitForSelector(".waiting-page");
    await page.waitForSelector(".hosts summary");
    await expectAccessible(page, "no site, hosts");
    await summary(page).click();
    await page.getByRole("button", { name: "Add 203.0.113.7" }).click();
    await expect.poll(() => page.locator("h1 .site-name").textContent()).toBe("203.0.113.7");
    expectNoComplaints();
  });
});

describe("archived sites", () => {
  test("are chosen apart, shown as such, and never by default", async () => {
    const page = await read("/");
    expect(await page.locator("h1 optgroup[label=Archived] option").allTextContents()).toEqual(["attic.example"]);
    expect(await page.locator(".badge").count()).toBe(0);
    await page.locator(".site-picker select").selectOption("attic");
    await page.waitForSelector(".badge");
    expect(await page.locator(".waiting-page .lead").textContent()).toContain("eider site edit attic --archived=false");
    await expectAccessible(page, "archived");
    expectNoComplaints();
  });
});
