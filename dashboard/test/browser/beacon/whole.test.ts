// A real browser, the real Caddy, the real aggregator: each view counts once,
// whatever the script says of it, and in whichever order that arrives.

import { request } from "node:http";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchReader, openAlone, read } from "./reader";
import { pause, Stack } from "./stack";

let stack: Stack;
let browser: Browser;

beforeAll(async () => {
  stack = await Stack.start();
  browser = await launchReader({ bfcache: true });
}, 600_000);
afterAll(async () => {
  await browser?.close();
  await stack?.stop();
});

const link = (to: string) => `<a id="to" href="/${to}.html">to</a>`;

/** go is one reader's way; the numbers are what it adds to the books. */
async function go(url: string, watch?: (r: Awaited<ReturnType<typeof read>>) => Promise<void>): Promise<void> {
  const reader = await read(browser);
  const { page, context } = reader;
  await watch?.(reader);
  await page.goto(url);
  await pause(300);
  await page.click("#to"); // b, fetched
  await pause(300);
  await page.evaluate(() => history.pushState({}, "", "/soft"));
  await pause(300);
  await page.goBack(); // b again, within the document
  await pause(300);
  await page.goBack({ waitUntil: "commit" }); // a, restored
  await pause(500);
  await page.reload({ waitUntil: "commit" }); // a, asked for anew and answered by 304
  await pause(500);
  await context.close();
  expect(reader.complaints).toEqual([]);
}

const ADDS = { recorded: 3, script_only: 2, cached: 1 };

test("every view counts once, with the script and without it", async () => {
  stack.page("a", link("b"));
  stack.page("b", "");
  stack.page("plain", link("b"), "");
  await go(`${stack.url}/a.html`);
  await stack.become({ ...ADDS, activated: 0, reclassified: 0, people: 6 });

  const { page, context } = await read(browser, `${stack.url}/plain.html`);
  await context.close();
  expect(page.isClosed()).toBe(true);
  await stack.become({ ...ADDS, recorded: 4, people: 7 });
});

test("any order, delay and repetition of what the script says gives the same", async () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const random = mulberry(seed);
  const before = await stack.views();
  const rounds = 3;
  for (let round = 1; round <= rounds; round++) {
    const said: { message: unknown; headers: Record<string, string> }[] = [];
    await go(`${stack.url}/a.html`, async ({ page }) => {
      await page.route("**/e/event", async (route) => {
        const headers = await route.request().allHeaders();
        for (const message of JSON.parse(route.request().postData() ?? "[]") as unknown[]) said.push({ message, headers });
        await route.fulfill({ status: 202 });
      });
    });
    expect(said.length).toBe(6);
    const twice = said.flatMap((one) => Array<typeof one>(1 + Math.floor(random() * 3)).fill(one));
    for (let i = twice.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [twice[i], twice[j]] = [twice[j] as (typeof twice)[0], twice[i] as (typeof twice)[0]];
    }
    for (const { message, headers } of twice) {
      expect(await post(JSON.stringify([message]), headers)).toBe(202);
      if (random() < 0.3) await pause(Math.floor(random() * 400));
    }
    await stack.become({
      recorded: before.recorded + round * ADDS.recorded,
      script_only: before.script_only + round * ADDS.script_only,
      cached: before.cached + round * ADDS.cached,
      people: before.people + round * 6,
    });
  }
}, 180_000);

test("a view that is made up creates nothing", async () => {
  const before = await stack.views();
  for (const v of ["0123456789abcdef", "fedcba9876543210"]) {
    expect(await post(JSON.stringify([{ l: "1,2", o: 0, n: "pageview", u: `${stack.url}/a.html`, v }]), {})).toBe(202);
  }
  await pause(1500);
  await stack.become(before);
});

test("a page from the HTTP cache is one more view", async () => {
  stack.page("kept", link("b"));
  const before = await stack.views();
  const plain = await launchReader(); // without the back/forward cache
  try {
    const { page } = await read(plain, `${stack.url}/kept.html`);
    await pause(500);
    await page.click("#to");
    await pause(500);
    await page.goBack();
    await pause(500);
  } finally {
    await plain.close();
  }
  await stack.become({ recorded: before.recorded + 2, cached: before.cached + 1, script_only: before.script_only, people: before.people + 3 });
});

test("an error page that has the script is no view", async () => {
  const before = await stack.views();
  const { page, context } = await read(browser);
  await page.route("**/missing.html", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `<!doctype html><script defer src="/e/e.js"></script>` });
  });
  await page.goto(`${stack.url}/missing.html`);
  await pause(1000);
  await context.close();
  await pause(1000);
  await stack.become(before);
});

test("a page that was rendered ahead counts once it is seen", async () => {
  stack.page("ahead", "");
  stack.page(
    "first",
    `<script type="speculationrules">{"prerender": [{"urls": ["/ahead.html"], "eagerness": "immediate"}]}</script>
     <script>setInterval(async () => { if ((await fetch("/go.html")).ok) location.href = "/ahead.html" }, 300)</script>`,
  );
  const before = await stack.views();
  const stop = openAlone(`${stack.url}/first.html`);
  try {
    await stack.become({ recorded: before.recorded + 1, activated: before.activated, people: before.people + 1 });
    await pause(3000);
    stack.page("go", "");
    await stack.become({ recorded: before.recorded + 1, activated: before.activated + 1, people: before.people + 2 });
  } finally {
    await stop();
  }
});

/** post sends messages as their browser would have. */
function post(body: string, headers: Record<string, string>): Promise<number> {
  const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(:|host$|content-length$|connection$)/.test(name)));
  return new Promise((resolve, reject) => {
    const r = request(`${stack.url}/e/event`, { method: "POST", headers: kept }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    r.on("error", reject);
    r.end(body);
  });
}

/** A small generator of random numbers, so that a seed tells what happened. */
function mulberry(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
