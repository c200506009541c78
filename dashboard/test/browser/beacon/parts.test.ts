// The parts, by address and by attribute, and that they stay out of the way.

import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { withSite } from "./site";

const by = (parts: string) => `<script defer src="/e/e.js?${parts}"></script>`;

const { site, visit, forgive } = await withSite();

/** hide is what happens to a page that another tab is put before. */
const hide = (page: Page) =>
  page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  });

const scripts = () => site.requests.filter((line) => line.includes(".js"));
const named = (name: string) => site.messages.filter((m) => m.n === name);

describe("parts come", () => {
  const OUT = `<a id="out" href="//localhost:1/x">x</a><script>out.onclick = (event) => event.preventDefault()</script>`;

  test("with the base in one file, by address", async () => {
    site.page("/a", { script: by("outbound&files"), body: OUT });
    const page = await visit("/a");
    await page.click("#out");
    expect((await site.count(2))[1]).toMatchObject({ k: "outbound" });
    expect(scripts()).toEqual(["GET /e/e.js?outbound&files"]);
  });

  test("in one further file, by attribute, after the page view", async () => {
    site.page("/a", { script: `<script defer src="/e/e.js" data-outbound data-vitals data-site="x"></script>`, body: OUT });
    const page = await visit("/a");
    await site.count(1);
    await site.until("the further file", () => scripts().length === 2);
    await site.quiet(300);
    await page.click("#out");
    expect((await site.count(2))[1]).toMatchObject({ k: "outbound", site: "x", o: 1, l: site.messages[0]?.l });
    expect(scripts()).toEqual(["GET /e/e.js", "GET /e/e.js?+outbound,vitals,site"]);
  });

  test("once, where address and attributes say the same", async () => {
    site.page("/a", { script: `<script defer src="/e/e.js?outbound" data-outbound data-forms></script>`, body: OUT });
    const page = await visit("/a");
    await site.until("the further file", () => scripts().length === 2);
    await site.quiet(300);
    await page.click("#out");
    await site.count(2);
    expect((await site.quiet()).filter((m) => m["k"] === "outbound")).toHaveLength(1);
  });

  test("not at all for attributes that are no parts", async () => {
    site.page("/a", { script: `<script defer src="/e/e.js" data-site="x" data-api="/e/event" data-auto="true" data-hash data-exclude="/x"></script>` });
    await visit("/a");
    await site.count(1);
    await site.quiet();
    expect(scripts()).toEqual(["GET /e/e.js"]);
  });
});

describe("outbound", () => {
  test("tells where a click led, without query and fragment, and holds no link", async () => {
    site.page("/a", { script: by("outbound"), body: `<a href="${site.elsewhere}/there?token=secret#part"><b>there</b></a>` });
    site.page("/there", { script: "" });
    const page = await visit("/a");
    await site.count(1);
    site.delay = 3000;
    const begun = Date.now();
    await page.click("b");
    await page.waitForURL("**/there?token=secret#part");
    expect(Date.now() - begun).toBeLessThan(2500);
    const message = (await site.until("the click", (m) => m.length > 1, 8000))[1];
    expect(message).toMatchObject({ k: "outbound", p: { url: `${site.elsewhere}/there` }, u: `${site.url}/a`, v: site.views[0] });
    expect(JSON.stringify(message)).not.toContain("secret");
  });

  test("is a click with the middle button too, not with the right one, and not within the site", async () => {
    site.page("/a", {
      script: by("outbound"),
      body: `<a id="out" href="${site.elsewhere}/x">x</a><a id="in" href="/a#x">in</a><a id="mail" href="mailto:a@b.example">mail</a>
        <script>for (const link of [out, mail]) for (const type of ["click", "auxclick"]) link.addEventListener(type, (event) => event.preventDefault())</script>`,
    });
    const page = await visit("/a");
    await page.click("#in");
    await page.click("#mail");
    await page.click("#out", { button: "right" });
    await page.click("#out", { button: "middle" });
    await site.count(2);
    await site.quiet();
    expect(site.messages.map((m) => m.n)).toEqual(["pageview", "outbound"]);
  });

  test("sees links in shadow trees, and in pages that stop the event", async () => {
    site.page("/a", {
      script: by("outbound"),
      body: `<div id="host"></div><script>
        const root = host.attachShadow({mode: "open"});
        root.innerHTML = '<a href="${site.elsewhere}/x">x</a>';
        root.querySelector("a").addEventListener("click", (event) => { event.preventDefault(); event.stopImmediatePropagation() });
      </script>`,
    });
    const page = await visit("/a");
    await page.click("#host a");
    expect((await site.count(2))[1]).toMatchObject({ k: "outbound", p: { url: `${site.elsewhere}/x` } });
  });
});

test("files are told by extension, and by the attribute download", async () => {
  const links = ["/report.PDF?token=secret", "/archive.tar.gz", "/song.mp3", "/page.html", "/pdf", "/picture.png"];
  site.page("/a", {
    script: by("files"),
    body: links.map((href, i) => `<a id="l${i}" href="${href}">x</a>`).join("") + `<a id="d" download href="/made">x</a>
      <script>document.addEventListener("click", (event) => event.preventDefault())</script>`,
  });
  const page = await visit("/a");
  for (const id of [...links.keys()].map((i) => `#l${i}`).concat("#d")) await page.click(id);
  await site.until("four clicks", () => named("File Download").length >= 4);
  await site.quiet();
  expect(named("File Download").map((m) => (m["p"] as { url: string }).url)).toEqual(["/report.PDF", "/archive.tar.gz", "/song.mp3", "/made"].map((path) => site.url + path));
});

test("forms are told by id or name, never with what is in them", async () => {
  site.page("/a", {
    script: by("forms"),
    body: `<form id="login" action="/b"><input name="id" value="secret"><button>x</button></form>
      <form name="search"><input required><button>x</button></form><form><button id="none">x</button></form>
      <script>document.addEventListener("submit", (event) => event.preventDefault())</script>`,
  });
  const page = await visit("/a");
  await page.click("#login button");
  await page.click("[name=search] button"); // is not sent: something required is missing
  await page.fill("[name=search] input", "secret");
  await page.click("[name=search] button");
  await page.click("#none");
  await site.until("three forms", () => named("Form: Submission").length >= 3);
  expect(named("Form: Submission").map((m) => m["p"])).toEqual([{ form: "login" }, { form: "search" }, {}]);
  expect(JSON.stringify(site.messages)).not.toContain("secret");
});

describe("engagement", () => {
  test("is the time that a view was looked at, and how far down", async () => {
    site.page("/a", { script: by("engagement"), body: `<div style="height: 3200px"></div>` });
    const page = await visit("/a");
    await site.count(1);
    await page.waitForTimeout(1500);
    await page.evaluate(() => scrollTo(0, 800));
    await page.waitForTimeout(300);
    await page.evaluate(() => scrollTo(0, 0));
    await hide(page);
    const [view, message] = await site.count(2);
    expect(message).toMatchObject({ k: "engagement", l: view?.l, v: site.views[0], u: `${site.url}/a` });
    expect(message?.["e"]).toBeGreaterThan(1400);
    expect(message?.["e"]).toBeLessThan(60_000);
    expect(message?.["sd"]).toBeGreaterThan(40);
    expect(message?.["sd"]).toBeLessThan(60);
    // Hidden time is nobody's.
    await page.waitForTimeout(500);
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
    expect(await site.quiet()).toHaveLength(2);
  });

  test("belongs to each view of a single-page application by itself", async () => {
    site.page("/a", { script: by("engagement"), body: `<div style="height: 3200px"></div>` });
    const page = await visit("/a");
    await page.waitForTimeout(800);
    await page.evaluate(() => history.pushState({}, "", "/b"));
    await site.count(3);
    await page.waitForTimeout(400);
    await hide(page);
    const messages = await site.count(4);
    expect(messages.map((m) => [m.n, new URL(m.u).pathname, m["pv"] ?? null])).toEqual([
      ["pageview", "/a", null],
      ["engagement", "/a", null],
      ["pageview", "/b", site.views[0]],
      ["engagement", "/b", site.views[0]],
    ]);
    expect(messages[3]?.["sd"]).toBeGreaterThan(0);
  });
});

test("vitals are measured, and told once", async () => {
  site.page("/a", {
    script: by("vitals"),
    body: `<h1>Some text</h1><button id="b">x</button><script>
      b.onclick = () => { const end = performance.now() + 120; while (performance.now() < end); };
      setTimeout(() => document.querySelector("h1").before(Object.assign(document.createElement("p"), {textContent: "pushed", style: "height: 300px"})), 300);
    </script>`,
  });
  const page = await visit("/a");
  await site.count(1);
  await page.waitForTimeout(1000);
  await page.click("#b");
  await page.waitForTimeout(500);
  await hide(page);
  const message = (await site.count(2))[1];
  expect(message).toMatchObject({ k: "vitals", v: site.views[0] });
  for (const [name, low, high] of [["ttfb", 0, 5000], ["fcp", 1, 60_000], ["lcp", 1, 60_000], ["inp", 100, 10_000], ["cls", 0.01, 2]] as const) {
    expect(message?.[name], name).toBeGreaterThanOrEqual(low);
    expect(message?.[name], name).toBeLessThan(high);
  }
  await hide(page);
  expect(await site.quiet()).toHaveLength(2);
});

test("a document that is not there is told with its path, and only that", async () => {
  site.page("/gone", { status: 404, script: by("404"), body: "nothing here" });
  site.page("/broken", { status: 500, script: by("404") });
  site.page("/there", { script: by("404") });
  const page = await visit("/gone?token=secret");
  expect((await site.count(2)).map((m) => [m.n, m["p"], m["st"]])).toEqual([["pageview", undefined, 404], ["404", { path: "/gone" }, 404]]);
  await page.goto(`${site.url}/there`);
  await page.goto(`${site.url}/broken`);
  await site.until("both others", (m) => m.length >= 4);
  expect((await site.quiet()).filter((m) => m.n === "404")).toHaveLength(1);
  forgive(); // the browser's own, about the answers
});
