// What pages say by themselves, and what must not go wrong whatever they do.

import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { withSite } from "./site";

const STUB = `<script>window.eider = window.eider || function () { (eider.q = eider.q || []).push(arguments) }</script>`;
const EVERYTHING = `<script defer src="/e/e.js?outbound&files&forms&engagement&vitals&404"></script>`;

const { site, blank, visit, forgive } = await withSite();

/** run runs code as the page's own. */
const run = (page: Page, code: string) => page.evaluate(code);

describe("custom events", () => {
  test("carry properties, revenue, another URL, and call back at once", async () => {
    site.page("/a");
    const page = await visit("/a");
    await site.count(1);
    await run(page, `new Promise((done) => eider("Buy", {props: {plan: "pro", n: 3}, revenue: 19.9, currency: "EUR", url: "/virtual", callback: done}))`);
    const [first, message] = await site.count(2);
    expect(message).toMatchObject({
      n: "Buy", props: { plan: "pro", n: 3 }, revenue: 19.9, currency: "EUR", url: "/virtual", u: `${site.url}/a`,
      l: first?.l, o: 1, v: site.views[0],
    });
    expect(message).not.toHaveProperty("callback");
  });

  test("of one moment come together", async () => {
    site.page("/a");
    const page = await visit("/a");
    await site.count(1);
    await run(page, `for (let i = 0; i < 10; i++) eider("E" + i)`);
    const messages = await site.count(11);
    expect(messages.map((m) => m.o)).toEqual([...Array(11).keys()]);
    expect(site.requests.filter((line) => line.startsWith("POST"))).toHaveLength(2);
  });

  test("said before the script is there come after the page view", async () => {
    site.page("/a", { head: STUB + `<script>eider("First", {props: {a: 1}}); eider("Second")</script>` });
    await visit("/a");
    const messages = await site.count(3);
    expect(messages.map((m) => [m.n, m.o])).toEqual([["pageview", 0], ["First", 1], ["Second", 2]]);
  });

  test("under Mallard's name are the same", async () => {
    site.page("/a");
    const page = await visit("/a");
    await run(page, `mallard("Signup", {props: {a: 1}})`);
    expect((await site.count(2))[1]).toMatchObject({ n: "Signup", props: { a: 1 } });
  });

  test("that are no JSON or too long lose themselves alone, and still call back", async () => {
    site.page("/a");
    const page = await visit("/a");
    await site.count(1);
    await run(page, `const loop = {}; loop.loop = loop; new Promise((done) => eider("Loop", {props: loop, callback: done}))`);
    await run(page, `eider("Big", {props: {x: "x".repeat(30000)}}); eider("Number", {props: {n: 10n}}); eider("Good"); eider("Null", null); eider()`);
    const messages = await site.count(4);
    expect((await site.quiet()).map((m) => m.n)).toEqual(["pageview", "Good", "Null", undefined]);
    expect(messages).toHaveLength(4);
  });

  test("on the way out of the page arrive, and do not hold it", async () => {
    site.page("/a");
    site.page("/b", { script: "" });
    const page = await visit("/a");
    await site.count(1);
    site.delay = 3000;
    const begun = Date.now();
    await run(page, `eider("Leaving", {callback: () => (location.href = "/b")})`);
    await page.waitForURL("**/b");
    expect(Date.now() - begun).toBeLessThan(2500);
    expect((await site.until("the event", (m) => m.length > 1, 8000))[1]).toMatchObject({ n: "Leaving", u: `${site.url}/a` });
  });
});

test("identify goes with all later messages of the load, and is stored nowhere", async () => {
  site.page("/a");
  const page = await visit("/a");
  await site.count(1);
  await run(page, `eider.identify("user-17", {plan: "pro"}); eider("Later")`);
  await site.count(3);
  expect(site.messages.slice(1)).toMatchObject([{ n: "identify", d: "user-17", props: { plan: "pro" } }, { n: "Later", d: "user-17" }]);
  await page.reload();
  expect((await site.count(4))[3]).not.toHaveProperty("d");
});

test("nothing is stored, and no cookie set, whatever is used", async () => {
  site.page("/a", { script: EVERYTHING });
  const page = await visit("/a");
  await run(page, `eider("E"); eider.identify("u", {a: 1}); history.pushState({}, "", "/b"); dispatchEvent(new Event("visibilitychange"))`);
  await site.count(4);
  expect(await run(page, `[localStorage.length, sessionStorage.length, document.cookie, navigator.cookieEnabled]`)).toEqual([0, 0, "", true]);
  expect(await run(page, `indexedDB.databases()`)).toEqual([]);
  expect(await page.context().cookies()).toEqual([]);
});

test("whoever opts out is not heard of again, on any page, and is not made to wait", async () => {
  site.page("/a", { script: EVERYTHING });
  const page = await visit("/a");
  await site.count(1);
  await run(page, `eider.optOut()`);
  // The proxy, which counts as well, knows it by the cookie of its endpoint.
  await expect.poll(async () => (await page.context().cookies()).map((c) => `${c.name}=${c.value}`)).toEqual(["eider_optout=1"]);
  expect(site.requests.filter((line) => line.includes("opt-out"))).toEqual(["POST /e/opt-out"]);
  await run(page, `new Promise((done) => eider("E", {callback: done}))`);
  await page.reload();
  await run(page, `eider("E"); history.pushState({}, "", "/b")`);
  await site.quiet();
  const heard = site.messages.filter((m) => m.n === "E" || m.u.endsWith("/b")).length + site.messages.filter((m) => m.n === "pageview").length;
  expect(heard).toBe(1);
});

describe("by hand", () => {
  const MANUAL = `<script defer src="/e/e.js" data-auto="false"></script>`;

  test("nothing is a view but what the page says", async () => {
    site.page("/a", { script: MANUAL });
    const page = await visit("/a");
    await run(page, `history.pushState({}, "", "/b")`);
    expect(await site.quiet()).toHaveLength(0);
    await run(page, `eider("pageview", {props: {a: 1}})`);
    expect((await site.count(1))[0]).toMatchObject({ n: "pageview", u: `${site.url}/b`, pv: site.views[0], props: { a: 1 } });
  });

  test("the document is the first view and virtual ones are within it", async () => {
    site.page("/a", { script: MANUAL });
    const page = await visit("/a");
    await run(page, `eider("pageview"); eider("pageview", {url: "/virtual"})`);
    expect(await site.count(2)).toMatchObject([{ n: "pageview", v: site.views[0] }, { n: "pageview", pv: site.views[0], url: "/virtual" }]);
  });
});

describe("an endpoint in trouble", () => {
  test("gets the same messages again, later each time, and with what comes next", async () => {
    site.page("/a");
    site.answers = [503, 429, 500];
    const page = await blank();
    await page.clock.install();
    await page.goto(`${site.url}/a`);
    const posts = () => site.requests.filter((line) => line.startsWith("POST")).length;
    const posted = (n: number) => site.until(`${n} requests`, () => posts() >= n);
    await posted(1);
    expect(site.messages).toHaveLength(0);
    await page.clock.runFor(9_100);
    await posted(2);
    await page.clock.runFor(9_100); // not yet
    expect(posts()).toBe(2);
    await page.clock.runFor(9_100);
    await posted(3);
    await run(page, `eider("Next")`);
    await page.clock.runFor(10);
    const messages = await site.count(2); // two requests at once: either may come first
    const view = messages.find((m) => m.n === "pageview");
    expect(view?.o).toBe(0);
    expect(messages.find((m) => m.n === "Next")?.l).toBe(view?.l);
    forgive(); // the browser's own, about the answers
  });

  test("gets what waits when the page is left", async () => {
    site.page("/a");
    site.page("/b", { script: "" });
    site.answers = [503];
    const page = await visit("/a");
    await site.until("a request", () => site.requests.includes("POST /e/event"));
    await site.quiet(200);
    await page.goto(`${site.url}/b`);
    expect((await site.count(1))[0]).toMatchObject({ n: "pageview", o: 0, u: `${site.url}/a` });
    forgive();
  });

  test("that refuses for good is not asked again", async () => {
    site.page("/a");
    site.answers = [400];
    const page = await blank();
    await page.clock.install();
    await page.goto(`${site.url}/a`);
    await site.until("a request", () => site.requests.includes("POST /e/event"));
    await page.clock.runFor(600_000);
    await run(page, `eider("Next")`);
    await page.clock.runFor(10);
    expect((await site.count(1))[0]).toMatchObject({ n: "Next" });
    forgive();
  });

  test("does not fill the page's memory", async () => {
    site.page("/a");
    site.answers = Array<number>(5000).fill(503);
    const page = await visit("/a");
    await run(page, `(async () => { for (let i = 0; i < 100; i++) { eider("E" + i, {props: {x: "x".repeat(1000)}}); await new Promise((r) => setTimeout(r)) } })()`);
    await site.quiet();
    site.answers = [];
    for (let i = 0; i < 50 && !site.messages.length; i++) {
      await run(page, `eider("Last")`);
      await site.quiet(200);
    }
    await site.count(1);
    expect(JSON.stringify(await site.quiet()).length).toBeLessThan(100_000);
    forgive();
  });
});

describe("a strict policy", () => {
  test("of the site's own origin, with trusted types, lets everything through", async () => {
    const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'";
    site.page("/a", { headers: { "Content-Security-Policy": policy }, script: `<script defer src="/e/e.js" data-outbound data-vitals></script>` });
    const page = await visit("/a");
    await site.count(1);
    await site.until("the parts", () => site.requests.some((line) => line.startsWith("GET /e/e.js?+")));
    // The parts were asked for; when they are there, the page can't say.
    await run(page, `setInterval(() => dispatchEvent(new Event("visibilitychange")), 200)`);
    expect((await site.count(2))[1]).toMatchObject({ k: "vitals" });
  });

  test("of nonces is passed on to the further file", async () => {
    const policy = "default-src 'none'; script-src 'nonce-abc'; connect-src 'self'";
    site.page("/a", { headers: { "Content-Security-Policy": policy }, script: `<script defer nonce="abc" src="/e/e.js" data-outbound data-vitals></script>` });
    const page = await visit("/a");
    await site.count(1);
    await site.until("the parts", () => site.requests.some((line) => line.startsWith("GET /e/e.js?+")));
    await page.evaluate(() => void setInterval(() => dispatchEvent(new Event("visibilitychange")), 200));
    expect((await site.count(2))[1]).toMatchObject({ k: "vitals" });
  });
});

// What pages, extensions and old browsers do to the things that a script needs.
// It says what it can, and never throws into the page.
describe("a hostile page", () => {
  for (const [what, code, counted] of [
    ["no performance", `Object.defineProperty(window, "performance", {value: undefined})`, true],
    ["no navigation timing", `performance.getEntriesByType = () => []`, true],
    ["a performance that throws", `performance.getEntriesByType = () => { throw 1 }`, true],
    ["no observers", `delete window.PerformanceObserver`, true],
    ["no sendBeacon", `navigator.sendBeacon = undefined`, true],
    ["a sendBeacon that throws", `navigator.sendBeacon = () => { throw 1 }`, true],
    ["no fetch", `delete window.fetch`, false],
    ["a fetch that throws", `window.fetch = () => { throw 1 }`, false],
    ["a fetch that never ends", `window.fetch = () => new Promise(() => {})`, false],
    ["no random numbers", `Object.defineProperty(window, "crypto", {value: undefined})`, false],
    ["a storage that throws", `Object.defineProperty(window, "localStorage", {get() { throw 1 }})`, true],
    ["no storage", `Object.defineProperty(window, "localStorage", {value: null})`, true],
    ["a frozen history", `Object.freeze(history)`, true],
    ["no history", `history.pushState = history.replaceState = undefined`, true],
    ["a history that throws", `history.pushState = () => { throw new Error("mine") }`, true],
    ["another JSON", `JSON.stringify = () => { throw 1 }`, false],
    ["no events", `delete window.Event`, true],
    ["no URL", `delete window.URL`, false],
    ["a name that is taken", `window.eider = 7; window.mallard = "duck"`, true],
    ["a name that can't be had", `Object.defineProperty(window, "eider", {value: 7})`, true],
    ["an element of that name", `document.write('<form id="eider"><input name="q"></form>')`, true],
    ["a queue that is none", `window.eider = {q: 7}`, false],
  ] as const) {
    test(`with ${what}`, async () => {
      site.page("/a", { head: `<script>${code}</script>`, script: EVERYTHING, body: `<a id="out" href="${site.elsewhere}/b">x</a>` });
      const page = await visit("/a");
      await run(page, `typeof eider === "function" && (eider("E"), eider.identify("x"), eider.optOut())`);
      await page.evaluate(() => {
        for (const type of ["visibilitychange", "popstate", "pageshow", "scroll", "submit", "click"]) dispatchEvent(new CustomEvent(type));
        document.getElementById("out")?.addEventListener("click", (event) => event.preventDefault());
        document.getElementById("out")?.click();
      });
      if (counted) expect((await site.count(1))[0]).toMatchObject({ n: "pageview" });
      else await site.quiet(100);
    });
  }
});

test("the script is no burden to a page that is gone from the document", async () => {
  site.page("/a", { script: "", body: `<script>
    const script = document.createElement("script");
    script.src = "/e/e.js?outbound";
    document.documentElement.append(script);
    script.onload = () => script.remove();
  </script>` });
  await visit("/a");
  expect((await site.count(1))[0]).toMatchObject({ n: "pageview" });
});
