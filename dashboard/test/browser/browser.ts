// A real Chromium and a page in it that reports everything it should not do.

import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { FIXTURE_NOW } from "./server";

export const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

export async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--hide-scrollbars",
    ],
  });
}

export interface Look {
  width: number;
  height: number;
  dark: boolean;
  scale?: number;
}

export const DESKTOP = { width: 1440, height: 1000 };
export const TELEPHONE = { width: 390, height: 844 };
export const LIGHT: Look = { ...DESKTOP, dark: false };

/** Both sizes in both themes, for test.each. */
export const LOOKS: [string, Look][] = [
  ["1440", LIGHT],
  ["1440 dark", { ...DESKTOP, dark: true }],
  ["390", { ...TELEPHONE, dark: false }],
  ["390 dark", { ...TELEPHONE, dark: true }],
];

export interface Watched {
  page: Page;
  context: BrowserContext;
  /** Console errors, uncaught errors, policy violations, requests elsewhere, failed loads. */
  complaints: string[];
}

interface OpenOptions {
  /** Fixtures belong to one moment; a real aggregator lives now. */
  frozen: boolean;
  still?: boolean;
}

export async function open(browser: Browser, base: string, path: string, look: Look, options: OpenOptions): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: look.width, height: look.height },
    deviceScaleFactor: look.scale ?? 1,
    colorScheme: look.dark ? "dark" : "light",
    reducedMotion: options.still ? "reduce" : "no-preference",
    locale: "en-GB",
    timezoneId: "America/New_York", // not the site's: nothing may depend on it
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  await page.exposeFunction("reportViolation", (text: string) => complaints.push(`policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      const report = (window as unknown as { reportViolation: (text: string) => void }).reportViolation;
      report(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
    });
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(base).origin) complaints.push(`elsewhere: ${request.url()}`);
  });
  if (options.frozen) await page.clock.setFixedTime(FIXTURE_NOW);
  await page.goto(base + path);
  return { page, context, complaints };
}

/** query is what the address bar says now; the driver's own copy of it lags behind. */
export async function query(page: Page): Promise<URLSearchParams> {
  return new URLSearchParams(await page.evaluate(() => location.search));
}

/** settled waits until the page shows the answers to what it asked. */
export async function settled(page: Page): Promise<void> {
  await page.waitForSelector(".reports[aria-busy=false] .number .value");
}

/** sideways is by how many pixels the page is wider than its window. */
export function sideways(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
