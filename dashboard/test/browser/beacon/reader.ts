// A reader: a browser as people have them, and a page that reports whatever the
// script must not do.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { chromium } from "playwright-core";
import { CHROMIUM } from "../browser";

/** Headless browsers say so, and are bots to everybody. */
export const AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export async function launchReader(options: { bfcache?: boolean } = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    // The driver switches the back/forward cache off.
    ignoreDefaultArgs: options.bfcache ? ["--disable-back-forward-cache"] : [],
    args: ARGS,
  });
}

export interface Reader {
  context: BrowserContext;
  page: Page;
  /** Uncaught errors, errors on the console, violations of a policy. */
  complaints: string[];
}

export async function read(browser: Browser, url?: string): Promise<Reader> {
  const context = await browser.newContext({ userAgent: AGENT, viewport: { width: 1200, height: 800 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${message.type()}: ${message.text()}`);
  });
  if (url) await page.goto(url);
  return { context, page, complaints };
}

/** A browser without a driver, which changes what a browser does. Returns what ends it. */
export function openAlone(url: string): () => Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "reader-"));
  // A group of its own: the browser's other processes end with it, and are done
  // with the profile when it is removed.
  const child = spawn(CHROMIUM, [...ARGS, `--user-data-dir=${profile}`, `--user-agent=${AGENT}`, "--remote-debugging-port=0", url], { stdio: "ignore", detached: true });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return async () => {
    child.kill();
    await ended;
    try {
      if (child.pid) process.kill(-child.pid, "SIGKILL");
    } catch {
      // nobody is left
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  };
}
