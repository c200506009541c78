// A small server for the browser tests: the built page under the same policy
// as the Go handler's, and the fixtures in the place of the aggregator. It can
// change its numbers, lose its way and go away, on demand.

import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");
const DIST = join(ROOT, "dist");
const FIXTURES = join(ROOT, "fixtures");

/** When the fixtures were taken: 14:25 in the zone of their first site. */
export const FIXTURE_NOW = new Date("2026-11-22T13:25:00Z");

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** The policy is read out of the handler's source, so that it can't differ. */
export function policy(): string {
  const source = readFileSync(join(ROOT, "handler.go"), "utf8");
  const declaration = /const Policy = ((?:"[^"]*"[\s+]*)+)/.exec(source)?.[1];
  if (!declaration) throw new Error("handler.go declares no Policy");
  return [...declaration.matchAll(/"([^"]*)"/g)].map((match) => match[1]).join("");
}

/** The dimensions that are not of the overview. */
const TRAFFIC = /^(bots|crawlers|not-found|downloads)$/;

const NO_BOOKS = {
  requests: null,
  results: {},
  pageviews: { recorded: 0, activated: 0, script_only: 0, cached: 0, reclassified: 0, people: 0 },
  edges: [],
  incomplete: [],
  identity_changed: [],
};

function addedSite(domain: string): unknown {
  return { site_id: domain, uuid: domain, domains: [domain], name: domain, time_zone: "UTC", archived: false };
}

interface Counters {
  requests: number;
  notModified: number;
}

export class FixtureServer {
  /** Added to the first site's visitors and page views. */
  extra = 0;
  /** Answers with the accounting of a day on which something went wrong. */
  incomplete = false;
  /** Answers every API request with this status. */
  failing: number | null = null;
  /** Sends whoever asks the API to a sign-in, as a proxy does once a session is over. */
  signedOut = false;
  /** Milliseconds that each API answer waits. */
  delay = 0;
  sites: "all" | "one" | "none" = "all";
  /** How many of the fixture's unknown hosts are seen. */
  unknown: "all" | "none" | "many" = "none";
  /** What POST /api/sites answers, where it does not add the site. */
  refusing: { status: number; code: string; message: string } | null = null;
  /** What X-Eider-Caveat says, by the path below /api/stats/. */
  caveats: Record<string, string> = {};
  /** Answers the tables of all traffic, and only those, with an error. */
  noTables = false;
  /** Answers the accounting of days that no edge reported. */
  noRequests = false;
  /** The quiet site had no visit, but requests of bots. */
  onlyBots = false;
  /** Answers the accounting with an error. */
  noBooks = false;
  /** Domains that were added; they are sites, and unknown hosts no more. */
  readonly added: string[] = [];
  readonly counters: Counters = { requests: 0, notModified: 0 };
  readonly #policy = policy();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<FixtureServer> {
    if (!existsSync(join(DIST, "index.html"))) throw new Error("there is no build: run `npm run build` first");
    const server = new FixtureServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    response.setHeader("Content-Security-Policy", this.#policy);
    response.setHeader("X-Content-Type-Options", "nosniff");
    if (!url.pathname.startsWith("/api/")) return this.#file(url.pathname, response);
    this.counters.requests++;
    if (this.delay) await new Promise((resolve) => setTimeout(resolve, this.delay));
    if (this.signedOut) return void response.writeHead(302, { Location: "/oauth2/sign_in" }).end();
    if (this.failing) return send(response, this.failing, { error: { code: "unavailable", message: "The lake is being opened; wait a moment." } });
    if (request.method === "POST") return this.#add(url, request, response);
    const answer = this.#answer(url);
    if (answer === undefined) {
      return send(response, 404, { error: { code: "unknown_site", message: `There is no site "${url.searchParams.get("site_id")}".` } });
    }
    const text = JSON.stringify(answer);
    const caveat = this.caveats[url.pathname.slice("/api/stats/".length)];
    const etag = `"${hash(text + (caveat ?? ""))}"`;
    response.setHeader("ETag", etag);
    if (request.headers["if-none-match"] === etag) {
      this.counters.notModified++;
      response.writeHead(304).end();
      return;
    }
    if (caveat) response.setHeader("X-Eider-Caveat", caveat);
    send(response, 200, answer);
  }

  /** reset is what a test begins with. */
  reset(): void {
    Object.assign(this, { extra: 0, incomplete: false, failing: null, signedOut: false, delay: 0, sites: "all", unknown: "none", refusing: null, caveats: {}, noTables: false, noRequests: false, onlyBots: false, noBooks: false });
    this.added.length = 0;
  }

  async #add(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    // As the aggregator does: nothing but JSON, and nothing from elsewhere.
    const own = request.headers.origin === this.url && request.headers["content-type"] === "application/json";
    if (url.pathname !== "/api/sites" || !own) return send(response, 403, { error: { code: "cross_origin", message: "not from here" } });
    if (this.refusing) return send(response, this.refusing.status, { error: this.refusing });
    const { domain } = JSON.parse(Buffer.concat(chunks).toString()) as { domain: string };
    this.added.push(domain);
    send(response, 201, addedSite(domain));
  }

  #file(pathname: string, response: ServerResponse): void {
    const file = join(DIST, pathname === "/" ? "index.html" : pathname);
    if (!file.startsWith(DIST) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" }).end(readFileSync(file));
  }

  #answer(url: URL): unknown {
    const query = url.searchParams;
    const name = url.pathname.slice("/api/".length);
    if (name === "sites") return this.#sites();
    if (name === "sites/unknown") return this.#unknown();
    const site = query.get("site_id") ?? "";
    if (name === "stats/realtime") return this.#realtime(site);
    if (name === "stats/accounting") return this.#accounting(site);
    const folder = periodFolder(query);
    if (name === "stats/main") return this.#main(site, folder, query.has("compare"));
    if (name === "stats/timeseries") return this.#series(site, folder, query.get("interval") ?? "day");
    const dimension = /^stats\/breakdown\/([a-z-]+)$/.exec(name)?.[1];
    if (!dimension) return undefined;
    if (TRAFFIC.test(dimension) && this.noTables) return undefined;
    const file = TRAFFIC.test(dimension) ? `${site}/traffic.${dimension}` : `${site}/${folder}/breakdown.${dimension}`;
    const rows = (fixture(file) as unknown[] | undefined) ?? [];
    return rows.slice(Number(query.get("offset") ?? 0)).slice(0, Number(query.get("limit") ?? 10));
  }

  #sites(): unknown {
    const all = fixture("sites") as unknown[];
    return [...this.added.map(addedSite), ...{ all, one: all.slice(0, 1), none: [] }[this.sites]];
  }

  #unknown(): unknown {
    const all = (fixture("sites-unknown") as { host: string }[]).filter(({ host }) => !this.added.includes(host));
    const many = Array.from({ length: 24 }, (_, i) => ({ ...all[0], host: `made-up-${i}.example` }));
    return { all, none: [], many }[this.unknown];
  }

  #realtime(site: string): unknown {
    return fixture(`${site}/realtime`) ?? { current_visitors: 0, pageviews: 0, window_minutes: 5, top_pages: [], top_sources: [], per_minute: [] };
  }

  #accounting(site: string): unknown {
    const name = this.incomplete && site === "tidewater" ? "accounting.incomplete" : "accounting";
    if (this.noBooks) return undefined;
    if (this.noRequests) return NO_BOOKS;
    if (this.onlyBots && site === "quiet") return { ...NO_BOOKS, requests: 12, results: { bot: 12 } };
    return fixture(`${site}/${name}`) ?? NO_BOOKS;
  }

  #main(site: string, folder: string, compare: boolean): unknown {
    const nothing = { visitors: 0, pageviews: 0, visits: 0, bounce_rate: null, visit_duration: null, views_per_visit: null };
    const answer = (fixture(`${site}/${folder}/main`) as Record<string, unknown> | undefined) ?? nothing;
    const { comparison, ...totals } = answer as Record<string, number>;
    const grown = site === "tidewater" && totals["pageviews"]
      ? { ...totals, visitors: (totals["visitors"] ?? 0) + this.extra, pageviews: (totals["pageviews"] ?? 0) + this.extra }
      : totals;
    return compare && comparison ? { ...grown, comparison } : grown;
  }

  #series(site: string, folder: string, interval: string): unknown {
    const points = (fixture(`${site}/${folder}/timeseries.${interval}`) as { visitors: number | null; pageviews: number }[] | undefined) ?? [];
    return points.map((point, i) =>
      i === points.length - 1 && point.visitors !== null ? { ...point, visitors: point.visitors + this.extra, pageviews: point.pageviews + this.extra } : point,
    );
  }
}

function periodFolder(query: URLSearchParams): string {
  const from = query.get("start_date");
  const to = query.get("end_date");
  if (from === "2026-11-21" && to === "2026-11-21") return "day";
  if (from === "2026-11-02" && to === "2026-11-15") return "custom";
  return from ? "nothing" : (query.get("period") ?? "30d");
}

function fixture(name: string): unknown {
  const file = join(FIXTURES, `${name}.json`);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-cache" }).end(JSON.stringify(body));
}

function hash(text: string): string {
  let h = 5381;
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 33) ^ text.charCodeAt(i)) >>> 0;
  return `${h.toString(16)}-${text.length}`;
}
