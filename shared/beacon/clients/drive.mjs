// Drives the clients of others as their users do: node drive.mjs BASE CHROMIUM,
// with the pages at BASE, whose endpoints are below BASE/e. What it makes them
// do is listed in caddymodule's TestTrackers, which counts what arrives.

import { createRequire } from "node:module";
import { join } from "node:path";
import { Umami } from "@umami/node";

const [base, elsewhere, executablePath] = process.argv.slice(2);
const website = "0e5b6a1c-9f0d-4a58-8a53-0d6d1f0f7c11";
const dashboard = createRequire(join(import.meta.dirname, "..", "..", "..", "dashboard", "package.json"));
const { chromium } = dashboard("playwright-core");

const AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/** visit opens a page in a browser that no tracker takes for a test's, and lets it act. */
async function visit(browser, url, act) {
  const context = await browser.newContext({ userAgent: AGENT, viewport: { width: 1200, height: 800 } });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${message.type()}: ${message.text()}`);
  });
  let answered = 0;
  const failed = [];
  page.on("response", (response) => {
    if (!/\/e\/api\//.test(response.url()) || response.request().method() !== "POST") return;
    answered++;
    if (!response.ok()) failed.push(`${response.status()} ${response.url()}`);
  });
  /** until waits for n answers of the endpoints in all. */
  const until = async (n) => {
    for (const end = Date.now() + 10_000; answered < n; ) {
      if (Date.now() > end) throw new Error(`${url}: ${answered} answers, want ${n}; ${complaints.join("; ")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await page.goto(url);
  await act(page, until);
  await context.close();
  if (failed.length || complaints.length) throw new Error(`${url}: ${[...failed, ...complaints].join("; ")}`);
}

async function inPages() {
  const browser = await chromium.launch({
    executablePath,
    ignoreDefaultArgs: ["--enable-automation"],
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-blink-features=AutomationControlled"],
  });
  try {
    for (const origin of [base, elsewhere]) {
      await visit(browser, `${origin}/umami`, async (page, until) => {
        await until(1);
        await page.evaluate(() => history.pushState({}, "", "/umami/next?utm_source=letter&token=SECRET"));
        await until(2);
        await page.evaluate(() => window.umami.track("signup", { plan: "pro", seats: 3, revenue: 19.9, currency: "EUR" }));
        await until(3);
        await page.evaluate(() => window.umami.identify({ role: "admin" }));
        await until(4);
        await page.click("#button");
        await until(5);
      });
      await visit(browser, `${origin}/plausible-tracker`, async (page, until) => {
        await until(1);
        await page.evaluate(() => history.pushState({}, "", "/plausible-tracker/next"));
        await until(2);
        await page.evaluate(() => new Promise((callback) => window.tracker.trackEvent("Signup", { callback, props: { plan: "pro", seats: 3 } })));
        await until(3);
      });
      await visit(browser, `${origin}/plausible`, async (page, until) => {
        await until(1);
        // The tracker says how long the page was looked at when it is left.
        await page.evaluate(() => history.pushState({}, "", "/plausible/next"));
        await until(3);
        const answer = await page.evaluate(
          () => new Promise((callback) => window.plausible("Purchase", { callback, props: { plan: "pro" }, revenue: { amount: "19.90", currency: "EUR" } })),
        );
        if (answer.status !== 202) throw new Error(`the tracker hears ${JSON.stringify(answer)}`);
        await until(4);
      });
    }
  } finally {
    await browser.close();
  }
}

async function inNode() {
  const umami = new Umami({ websiteId: website, hostUrl: `${base}/e` });
  for (const send of [
    () => umami.track({ url: "/node", hostname: "site.example", title: "From Node" }),
    () => umami.track("renewed", { plan: "pro", revenue: 99, currency: "USD" }),
    () => umami.identify({ role: "server" }),
  ]) {
    const response = await send();
    const body = await response.json();
    if (!response.ok || !body.cache || !body.sessionId) throw new Error(`@umami/node: ${response.status} ${JSON.stringify(body)}`);
  }
}

await inNode();
await inPages();
