// Page views of every way to a page, in a real browser.

import { describe, expect, test } from "vitest";
import { PLAIN } from "./pages";
import { launchReader, openAlone } from "./reader";
import { withSite } from "./site";

const { site, visit, forgive } = await withSite({ bfcache: true });

describe("a document", () => {
  test("is said with all that the proxy can't know, and its name", async () => {
    site.page("/a", { title: "A title" });
    await visit("/a?utm_source=x#part");
    const [message] = await site.count(1);
    expect(message).toEqual({
      v: site.views[0],
      l: expect.stringMatching(/^\d{1,10},\d{1,10}$/),
      o: 0,
      n: "pageview",
      u: `${site.url}/a?utm_source=x`,
      t: "A title",
      r: "",
      w: expect.stringMatching(/^\d+x\d+$/),
      st: 200,
    });
    expect(await site.quiet()).toHaveLength(1);
    expect(site.requests.filter((line) => line.startsWith("OPTIONS"))).toEqual([]);
  });

  test("has a referrer, another load and another name each time", async () => {
    site.page("/a", { body: `<a href="/b">b</a>` });
    site.page("/b");
    const page = await visit("/a");
    await site.count(1);
    await page.click("a");
    const [a, b] = await site.count(2);
    expect(b).toMatchObject({ n: "pageview", u: `${site.url}/b`, r: `${site.url}/a`, v: site.views[1], o: 0 });
    expect(b?.l).not.toBe(a?.l);
  });

  test("without a name is said all the same", async () => {
    site.page("/a", { named: false });
    await visit("/a");
    const [message] = await site.count(1);
    expect(message).not.toHaveProperty("v");
    expect(message).not.toHaveProperty("pv");
  });

  test("is counted once though the script is there twice", async () => {
    site.page("/a", { script: PLAIN + PLAIN + `<script defer src="/e/e.js?outbound"></script>` });
    await visit("/a");
    await site.count(1);
    expect(await site.quiet()).toHaveLength(1);
  });

  test("of another origin's script goes to that origin, without a preflight", async () => {
    site.page("/a", { script: `<script defer src="${site.elsewhere}/e.js" data-site="example.com"></script>` });
    await visit("/a");
    const [message] = await site.count(1);
    expect(message).toMatchObject({ n: "pageview", site: "example.com", u: `${site.url}/a` });
    expect(site.requests).toContain("POST /api/e");
    expect(site.requests.filter((line) => line.startsWith("OPTIONS"))).toEqual([]);
  });

  test("is sent where data-api says", async () => {
    site.page("/a", { script: `<script defer src="/e/e.js" data-api="/collect/here"></script>` });
    await visit("/a");
    await site.count(1);
    expect(site.requests).toContain("POST /collect/here");
  });

  test("says which pages are excluded, for the server to leave out", async () => {
    site.page("/a", { script: `<script defer src="/e/e.js" data-exclude="/a/*, /b"></script>` });
    await visit("/a");
    expect((await site.count(1))[0]).toMatchObject({ exclude: "/a/*, /b" });
  });

  test("that is an error says its status", async () => {
    site.page("/a", { status: 404 });
    await visit("/a");
    expect((await site.count(1))[0]).toMatchObject({ n: "pageview", st: 404 });
    forgive(); // the browser's own, about the 404
  });
});

describe("single-page navigation", () => {
  test("by push, replace and Back, each once, with the title that comes after", async () => {
    site.page("/a", { title: "A" });
    const page = await visit("/a");
    await site.count(1);
    const go = (how: "pushState" | "replaceState", to: string, title: string) =>
      page.evaluate(
        ([how, to, title]) => {
          history[how as "pushState"]({}, "", to);
          setTimeout(() => (document.title = title as string), 30);
        },
        [how, to, title],
      );
    await go("pushState", "/b?x=1", "B");
    await site.count(2);
    await go("replaceState", "/c", "C");
    await site.count(3);
    await page.evaluate(() => history.back());
    const messages = await site.count(4);
    const [first, ...soft] = messages;
    expect(soft.map((m) => [m.u, m["r"], m["t"], m.o])).toEqual([
      [`${site.url}/b?x=1`, `${site.url}/a`, "B", 1],
      [`${site.url}/c`, `${site.url}/b?x=1`, "C", 2],
      [`${site.url}/a`, `${site.url}/c`, "C", 3],
    ]);
    for (const message of soft) {
      expect(message).toMatchObject({ n: "pageview", l: first?.l, pv: site.views[0] });
      expect(message).not.toHaveProperty("v");
    }
    expect(await site.quiet()).toHaveLength(4);
  });

  test("is no view where only the query, the fragment or the state changes", async () => {
    site.page("/a");
    const page = await visit("/a?x=1");
    await site.count(1);
    await page.evaluate(() => {
      history.pushState({}, "", "?x=2");
      history.replaceState({ some: "state" }, "");
      history.pushState({}, "", "#there");
      location.hash = "elsewhere";
    });
    expect(await site.quiet()).toHaveLength(1);
  });

  test("in quick succession counts every page", async () => {
    site.page("/a");
    const page = await visit("/a");
    await page.evaluate(() => {
      for (const to of ["/b", "/c", "/d"]) history.pushState({}, "", to);
    });
    const messages = await site.count(4);
    expect(messages.map((m) => new URL(m.u).pathname)).toEqual(["/a", "/b", "/c", "/d"]);
  });

  test("of a document without a name still has a parent", async () => {
    site.page("/a", { named: false });
    const page = await visit("/a");
    await page.evaluate(() => history.pushState({}, "", "/b"));
    const [first, second] = await site.count(2);
    expect(second).toMatchObject({ n: "pageview", pv: first?.l });
  });

  test("returns what the page's own call returns, and throws what it throws", async () => {
    site.page("/a");
    const page = await visit("/a");
    const answer = await page.evaluate(() => {
      try {
        history.pushState(() => 0, ""); // a function can't be cloned
        return "nothing";
      } catch (error) {
        return (error as Error).name;
      }
    });
    expect(answer).toBe("DataCloneError");
  });

  test("by fragment counts with data-hash, and only then says the fragment", async () => {
    site.page("/a", { script: `<script defer src="/e/e.js" data-hash></script>` });
    const page = await visit("/a?x=1#/one");
    await site.count(1);
    await page.evaluate(() => (location.hash = "/two"));
    await site.count(2);
    await page.evaluate(() => history.back());
    const messages = await site.count(3);
    expect(messages.map((m) => m.u)).toEqual(["#/one", "#/two", "#/one"].map((hash) => `${site.url}/a?x=1${hash}`));
  });
});

describe("a page from a cache", () => {
  test("restored by Back and Forward is another load of the same document", async () => {
    site.page("/a", { body: `<a href="/b">b</a>` });
    site.page("/b", { named: false });
    const page = await visit("/a");
    await site.count(1);
    await page.click("a");
    await site.count(2);
    await page.goBack({ waitUntil: "commit" });
    await site.count(3);
    await page.goForward({ waitUntil: "commit" });
    const [a, b, again, forward] = await site.count(4);
    expect(site.requests.filter((line) => line === "GET /a" || line === "GET /b")).toEqual(["GET /a", "GET /b"]);
    expect(again).toMatchObject({ n: "pageview", u: `${site.url}/a`, v: a?.["v"], c: true });
    expect(again?.l).not.toBe(a?.l);
    // A document without a name can't be told from the proxy's own; its restoring can.
    expect(forward).toMatchObject({ n: "pageview", u: `${site.url}/b`, c: true, pv: forward?.l });
    expect(forward?.l).not.toBe(b?.l);
    expect(await site.quiet()).toHaveLength(4);
  });

  test("of HTTP keeps the name of the document that was fetched", async () => {
    const plain = await launchReader();
    try {
      site.page("/a", { headers: { "Cache-Control": "max-age=600" }, body: `<a href="/b">b</a>` });
      site.page("/b");
      const page = await visit("/a", plain);
      await site.count(1);
      await page.click("a");
      await site.count(2);
      await page.goBack();
      const [a, , again] = await site.count(3);
      expect(site.requests.filter((line) => line === "GET /a")).toHaveLength(1);
      expect(again).toMatchObject({ n: "pageview", v: a?.["v"], o: 0 });
      expect(again?.l).not.toBe(a?.l);
    } finally {
      await plain.close();
    }
  });
});

// The driver forbids rendering ahead, so that this browser runs by itself and
// the page goes on when the site says so.
test("a page that is rendered ahead is counted when it is shown", async () => {
  site.page("/a", {
    body: `<script type="speculationrules">{"prerender": [{"urls": ["/b"], "eagerness": "immediate"}]}</script>
      <script>
        const timer = setInterval(async () => {
          if (!(await fetch("/go")).ok) return;
          clearInterval(timer);
          location.href = "/b";
        }, 200);
      </script>`,
  });
  site.page("/b", { body: `<script>addEventListener("load", () => eider("Early"))</script>` });
  const stop = openAlone(`${site.url}/a`);
  try {
    await site.until("a page rendered ahead", () => site.requests.includes("GET /b"), 20_000);
    await site.count(1);
    expect(await site.quiet(1000)).toHaveLength(1);
    site.page("/go");
    await site.count(3);
    expect(site.messages.slice(1).map((m) => [m.n, m.u, m["v"], m.o])).toEqual([
      ["pageview", `${site.url}/b`, site.views[1], 0],
      ["Early", `${site.url}/b`, site.views[1], 1],
    ]);
    expect(site.requests.filter((line) => line === "GET /b")).toHaveLength(1);
  } finally {
    await stop();
  }
});
