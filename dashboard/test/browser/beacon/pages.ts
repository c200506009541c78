// A site for the beacon's tests: pages that are told what to be, the endpoint
// that the script sends to, and the real script, served by the Go handler.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PROJECT = join(import.meta.dirname, "..", "..", "..", "..");

/** A message as it came, with what is known of the request that brought it. */
export interface Message {
  [field: string]: unknown;
  n: string;
  u: string;
  l: string;
  o: number;
}

export interface Page {
  /** The script element; "" = none. By default the plain script of the same origin. */
  script?: string;
  title?: string;
  body?: string;
  head?: string;
  status?: number;
  headers?: Record<string, string>;
  /** The proxy names the document, unless told otherwise. */
  named?: boolean;
}

export const PLAIN = `<script defer src="/e/e.js"></script>`;

export class Site {
  readonly messages: Message[] = [];
  /** What was asked for, as "METHOD /path?query". */
  readonly requests: string[] = [];
  /** The view ids given out, in order. */
  readonly views: string[] = [];
  /** What the endpoint answers, for each of its next requests; then 202. */
  answers: number[] = [];
  /** Milliseconds until the endpoint answers. */
  delay = 0;
  readonly #pages = new Map<string, Page>();
  readonly #server: Server;
  #folder = "";
  #script: ChildProcess | null = null;
  #scriptURL = "";

  private constructor() {
    this.#server = createServer((req, res) => void this.#serve(req, res));
  }

  static async start(): Promise<Site> {
    const site = new Site();
    await new Promise<void>((resolve) => site.#server.listen(0, "127.0.0.1", resolve));
    site.#folder = mkdtempSync(join(tmpdir(), "beacon-"));
    const binary = join(site.#folder, "beacon");
    execFileSync("go", ["build", "-o", binary, "./tools/beacon"], { cwd: PROJECT, stdio: "inherit" });
    const child = spawn(binary, { stdio: ["ignore", "pipe", "inherit"] });
    site.#script = child;
    site.#scriptURL = await new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).once("line", resolve);
      child.once("exit", (code) => reject(new Error(`tools/beacon ended with ${code}`)));
    });
    return site;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The same site under another name: another origin. */
  get elsewhere(): string {
    return this.url.replace("127.0.0.1", "localhost");
  }

  async stop(): Promise<void> {
    this.#script?.kill();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  reset(): void {
    this.messages.length = this.requests.length = this.views.length = 0;
    this.answers = [];
    this.delay = 0;
    this.#pages.clear();
  }

  page(path: string, page: Page = {}): void {
    this.#pages.set(path, page);
  }

  /** until waits for what must come; the message says what came instead. */
  async until(what: string, done: (messages: Message[]) => boolean, patience = 5000): Promise<Message[]> {
    const end = Date.now() + patience;
    while (!done(this.messages)) {
      if (Date.now() > end) throw new Error(`${what}: did not come; there are ${JSON.stringify(this.messages, null, 1)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this.messages;
  }

  async count(n: number): Promise<Message[]> {
    return this.until(`${n} messages`, (messages) => messages.length >= n);
  }

  /** quiet waits as long as something that must not come would take. */
  async quiet(ms = 500): Promise<Message[]> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return this.messages;
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? "/", this.url);
    this.requests.push(`${req.method} ${url.pathname}${url.search}`);
    if (url.pathname === "/favicon.ico") return void res.writeHead(204).end();
    if (/\.js$/.test(url.pathname)) return this.#forward(req, res);
    if (req.method === "OPTIONS") return void res.writeHead(405).end();
    if (url.pathname === "/e/opt-out") return void res.writeHead(204, { "Set-Cookie": "eider_optout=1; Path=/; HttpOnly; SameSite=Lax" }).end();
    if (req.method === "POST") return this.#take(req, res);
    const page = this.#pages.get(url.pathname);
    if (!page) return void res.writeHead(404).end();
    const headers: Record<string, string> = { "Content-Type": "text/html; charset=utf-8", ...page.headers };
    if (page.named !== false) {
      const view = randomBytes(8).toString("hex");
      this.views.push(view);
      headers["Server-Timing"] = `db;dur=1, eider;desc="${view}"`;
    }
    res.writeHead(page.status ?? 200, headers).end(
      `<!doctype html><title>${page.title ?? url.pathname}</title>${page.head ?? ""}${page.script ?? PLAIN}${page.body ?? ""}`,
    );
  }

  async #take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of req.setEncoding("utf8")) body += chunk;
    if (this.delay) await new Promise((resolve) => setTimeout(resolve, this.delay));
    const status = this.answers.shift() ?? 202;
    res.writeHead(status, { "Access-Control-Allow-Origin": "*" }).end();
    if (status !== 202) return;
    if (req.headers["content-type"] !== "text/plain;charset=UTF-8") throw new Error(`the body is ${req.headers["content-type"]}`);
    this.messages.push(...(JSON.parse(body) as Message[]));
  }

  #forward(req: IncomingMessage, res: ServerResponse): void {
    const upstream = request(this.#scriptURL + req.url, { headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    upstream.on("error", () => res.destroy());
    upstream.end();
  }
}
