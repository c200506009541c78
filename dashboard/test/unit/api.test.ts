import { describe, expect, test, vi } from "vitest";
import { parseCaveats, sentencesOn } from "../../src/api/caveat";
import { Client, Failure } from "../../src/api/client";
import { Feed, type FeedState, type Limits } from "../../src/api/feed";
import { accountingURL, breakdownURL, mainURL, type Question, seriesURL } from "../../src/api/requests";
import {
  decodeAccounting,
  decodeBreakdown,
  decodeMain,
  decodeSite,
  decodeRealtime,
  decodeSeries,
  decodeSites,
  decodeUnknownHosts,
  DIMENSIONS,
  ShapeError,
} from "../../src/api/types";

const TODAY: Question = { siteId: "a b", period: { kind: "today" }, interval: "hour" };
const BOOKS = {
  requests: 3,
  results: { pageview: 2, bot: 1 },
  pageviews: { recorded: 2, activated: 0, script_only: 0, cached: 0, reclassified: 0, people: 2 },
  edges: [],
  incomplete: [],
  identity_changed: [],
};
const signal = () => new AbortController().signal;

describe("addresses", () => {
  test("carry period or dates, never both", () => {
    expect(mainURL(TODAY)).toBe("/api/stats/main?site_id=a+b&period=today&compare=previous_period");
    expect(seriesURL({ ...TODAY, period: { kind: "day", date: "2026-11-21" } })).toBe(
      "/api/stats/timeseries?site_id=a+b&start_date=2026-11-21&end_date=2026-11-21&interval=hour",
    );
    expect(accountingURL({ ...TODAY, period: { kind: "custom", from: "2026-11-02", to: "2026-11-15" } })).toBe(
      "/api/stats/accounting?site_id=a+b&start_date=2026-11-02&end_date=2026-11-15",
    );
    expect(breakdownURL(TODAY, "os", 9)).toBe("/api/stats/breakdown/os?site_id=a+b&period=today&limit=9");
  });
  test("all time is compared with nothing", () => {
    expect(mainURL({ ...TODAY, period: { kind: "all" } })).not.toContain("compare");
  });
});

describe("decoders", () => {
  test("take what is agreed, and more", () => {
    const totals = { visitors: 1, pageviews: 2, visits: 1, bounce_rate: null, visit_duration: null, views_per_visit: 2 };
    expect(decodeMain({ ...totals, events: 7 }, "answer")).toEqual({ ...totals, comparison: null, meta: null });
    expect(decodeBreakdown([{ value: null, visitors: 1, pageviews: 1 }], "answer")).toHaveLength(1);
    expect(decodeSites(null, "answer")).toEqual([]);
  });
  test("keep every result, whatever its name", () => {
    const results = JSON.parse('{"pageview":2,"__proto__":1,"constructor":3}') as unknown;
    expect([...decodeAccounting({ ...BOOKS, results }, "answer").results]).toEqual([["pageview", 2], ["__proto__", 1], ["constructor", 3]]);
    expect(decodeAccounting({ ...BOOKS, requests: null, results: {} }, "answer").requests).toBe(null);
  });
  test("count rows of a table only where it has them", () => {
    expect(decodeBreakdown([{ value: "/", visitors: 1, pageviews: 1 }, { value: "GPTBot", visitors: 0, pageviews: 0, events: 4 }], "answer").map((row) => row.events)).toEqual([0, 4]);
  });
  test("what nobody knows is null, and why is beside it", () => {
    const meta = { caveats: [{ reason: "no_visitor_id", affects: ["visitors"], message: "No ids.", more: 1 }] };
    const nobody = { visitors: null, pageviews: 2, visits: null, bounce_rate: null, visit_duration: null, views_per_visit: null };
    const main = decodeMain({ ...nobody, meta }, "answer");
    expect(main.visitors).toBeNull();
    expect(main.meta).toEqual({ caveats: [{ reason: "no_visitor_id", affects: ["visitors"], message: "No ids." }] });
    expect(decodeMain(nobody, "answer").meta).toBeNull();
    expect(decodeSeries([{ date: "2026-11-22", visitors: null, pageviews: 2 }], "answer")[0]?.visitors).toBeNull();
    expect(decodeBreakdown([{ value: "/", visitors: null, pageviews: 2 }], "answer")[0]?.visitors).toBeNull();
    const realtime = decodeRealtime({ current_visitors: null, pageviews: null, window_minutes: 5, meta }, "answer");
    expect([realtime.current_visitors, realtime.pageviews, realtime.meta?.caveats.length]).toEqual([null, null, 1]);
    expect(() => decodeMain({ ...nobody, meta: { caveats: [{ reason: "x", affects: [], message: 1 }] } }, "answer")).toThrow("answer.meta.caveats[0].message is not text");
  });

  test.each<[string, () => unknown]>([
    ["answer.visitors", () => decodeMain({ visitors: "12" }, "answer")],
    ["answer", () => decodeMain([], "answer")],
    ["answer", () => decodeBreakdown({}, "answer")],
    ["answer[1].pageviews", () => decodeBreakdown([{ value: "/", visitors: 1, pageviews: 1 }, { value: "/", visitors: 1 }], "answer")],
    ["answer.requests", () => decodeAccounting({ ...BOOKS, requests: undefined }, "answer")],
    ["answer.requests", () => decodeAccounting({ ...BOOKS, requests: -1 }, "answer")],
    ["answer.results.pageview", () => decodeAccounting({ ...BOOKS, results: { pageview: 1.5 } }, "answer")],
    ["answer.results", () => decodeAccounting({ ...BOOKS, results: [] }, "answer")],
    ["answer.pageviews.cached", () => decodeAccounting({ ...BOOKS, pageviews: { ...BOOKS.pageviews, cached: null } }, "answer")],
    ["answer.identity_changed[0]", () => decodeAccounting({ ...BOOKS, identity_changed: [1] }, "answer")],
    ["answer.archived", () => decodeSite({ site_id: "a", uuid: "", domains: [], name: "", time_zone: "UTC", archived: "no" }, "answer")],
    ["answer[0].host", () => decodeUnknownHosts([{ requests: 1, last_seen: "" }], "answer")],
    ["answer[0].domains[0]", () => decodeSites([{ site_id: "a", uuid: "", domains: [7], name: "", time_zone: "UTC" }], "answer")],
  ])("name the place that is wrong: %s", (place, decode) => {
    expect(decode).toThrow(ShapeError);
    expect(decode).toThrow(`${place} is not`);
  });
});

describe("caveats", () => {
  test("are read as the server writes them", () => {
    const header = 'no_screen;affects="screen-sizes";message="No \\"screens\\", no \\\\.", privacy_changed;affects="visitors pages";message="Changed, then."';
    expect(parseCaveats(header)).toEqual([
      { reason: "no_screen", affects: ["screen-sizes"], message: 'No "screens", no \\.' },
      { reason: "privacy_changed", affects: ["visitors", "pages"], message: "Changed, then." },
    ]);
  });
  test("of a newer server are read as far as they are known", () => {
    expect(parseCaveats('a;since=3;affects="pages";sure;message="M"')).toEqual([{ reason: "a", affects: ["pages"], message: "M" }]);
    expect(parseCaveats("a, b")).toEqual(["a", "b"].map((reason) => ({ reason, affects: [], message: "" })));
  });
  test.each([null, "", " ", '"', 'a;message="', 'a;message="x" b', "a;;", ", a", "(a b)", 'a;message="\\x"', `${"a;".repeat(50_000)}`])("that can't be read are none: %#", (header) => {
    expect(parseCaveats(header)).toEqual([]);
  });
  test("are said once, where they are about something", () => {
    const caveat = (message: string, ...affects: string[]) => ({ reason: message, affects, message });
    const all = [caveat("A", "visitors"), caveat("B", "pages"), caveat("B", "pages"), caveat("C", "visits"), caveat("", "pages"), caveat("D", "pages")];
    expect(sentencesOn(all, ["visitors", "pages"], [caveat("D", "visits")])).toEqual(["A", "B"]);
  });
});

function answering(...answers: (Response | Error)[]): { fetcher: typeof fetch; requests: Headers[] } {
  const requests: Headers[] = [];
  const fetcher: typeof fetch = async (_, init) => {
    requests.push(new Headers(init?.headers));
    const answer = answers.shift();
    if (!answer) throw new Error("one request too many");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { fetcher, requests };
}

const json = (body: unknown, init?: ResponseInit) => new Response(JSON.stringify(body), init);

describe("client", () => {
  test("asks again with the validator and keeps what has not changed", async () => {
    const { fetcher, requests } = answering(
      json([], { headers: { ETag: '"1"' } }),
      new Response(null, { status: 304 }),
      json([{ value: "/", visitors: 1, pageviews: 1 }], { headers: { ETag: '"2"' } }),
    );
    const client = new Client(fetcher);
    const first = await client.get("/x", decodeBreakdown, signal());
    const second = await client.get("/x", decodeBreakdown, signal());
    const third = await client.get("/x", decodeBreakdown, signal());
    expect(requests.map((headers) => headers.get("If-None-Match"))).toEqual([null, '"1"', '"1"']);
    expect(first.changed).toBe(true);
    expect(second.changed).toBe(false);
    expect(second.value).toBe(first.value);
    expect(third.value).toHaveLength(1);
  });

  test("keeps what the header says as long as the answer that it came with", async () => {
    const caveats = [{ reason: "no_identity", affects: ["visitors"], message: "Some have no id." }];
    const headers = { ETag: '"1"', "X-Eider-Caveat": 'no_identity;affects="visitors";message="Some have no id."' };
    const client = new Client(answering(json([], { headers }), new Response(null, { status: 304 }), json([], { headers: { ETag: '"2"' } })).fetcher);
    expect((await client.get("/x", decodeBreakdown, signal())).caveats).toEqual(caveats);
    expect((await client.get("/x", decodeBreakdown, signal())).caveats).toEqual(caveats);
    expect(client.peek("/x")?.caveats).toEqual(caveats);
    expect((await client.get("/x", decodeBreakdown, signal())).caveats).toEqual([]);
  });

  test("posts JSON and reads what came of it", async () => {
    const asked: [string, RequestInit | undefined][] = [];
    const client = new Client(async (url, init) => {
      asked.push([String(url), init]);
      return json({ site_id: "a", uuid: "u", domains: ["a"], name: "a", time_zone: "UTC", archived: false }, { status: 201 });
    });
    expect(await client.post("/api/sites", { domain: "a" }, decodeSite, signal())).toMatchObject({ site_id: "a" });
    expect(asked[0]?.[0]).toBe("/api/sites");
    expect(asked[0]?.[1]).toMatchObject({ method: "POST", body: '{"domain":"a"}', credentials: "same-origin", headers: { "Content-Type": "application/json" } });
    expect(client.peek("/api/sites")).toBe(undefined);
  });

  test("a refusal keeps its code", async () => {
    const { fetcher } = answering(json({ error: { code: "site_exists", message: "It is." } }, { status: 409 }));
    const failure = await new Client(fetcher).post("/api/sites", {}, decodeSite, signal()).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: "refused", code: "site_exists", status: 409, message: "It is." });
  });

  test.each<[string, Response | Error, string, string]>([
    ["no network", new TypeError("fetch failed"), "offline", "fetch failed"],
    ["a gateway without aggregator", new Response("bad gateway", { status: 502 }), "offline", "HTTP 502"],
    ["a refusal in our words", json({ error: { code: "x", message: "Say hello first." } }, { status: 400 }), "refused", "Say hello first."],
    ["a proxy that asks for a sign-in", new Response("<html>", { status: 401 }), "signed_out", "HTTP 401"],
    ["our own refusal of a token", json({ error: { code: "unauthorized", message: "Expired." } }, { status: 401 }), "refused", "Expired."],
    ["a refusal in no words", new Response("<html>", { status: 500 }), "refused", "HTTP 500"],
    ["no JSON", new Response("<html>"), "unexpected", "/x: the answer is not JSON"],
    ["a way that breaks off", new Response(new ReadableStream({ start: (body) => body.error(new TypeError("terminated")) })), "offline", "terminated"],
    ["another shape", json({ rows: [] }), "unexpected", "/x: answer is not a list"],
  ])("%s", async (_, answer, kind, message) => {
    const client = new Client(answering(answer).fetcher);
    const failure = await client.get("/x", decodeBreakdown, signal()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect((failure as Failure).kind).toBe(kind);
    expect((failure as Failure).message).toContain(message);
  });

  test("forgets the oldest answers", async () => {
    const fetcher: typeof fetch = async () => json([]);
    const client = new Client(fetcher);
    for (let i = 0; i < 150; i++) await client.get(`/${i}`, decodeBreakdown, signal());
    expect(client.peek("/0")).toBeUndefined();
    expect(client.peek("/149")?.value).toEqual([]);
  });
});

/** An aggregator in memory: `version` is its data. */
class Fake {
  version = 1;
  down = false;
  readonly asked: string[] = [];
  readonly fetcher: typeof fetch = async (input, init) => {
    const url = String(input);
    this.asked.push(url.replace(/\?.*/, ""));
    await Promise.resolve();
    if (init?.signal?.aborted) throw new DOMException("aborted", "AbortError");
    if (this.down) throw new TypeError("fetch failed");
    const etag = `"${this.version}"`;
    if (new Headers(init?.headers).get("If-None-Match") === etag) return new Response(null, { status: 304 });
    return json(this.#body(url), { headers: { ETag: etag } });
  };
  #body(url: string): unknown {
    const n = this.version;
    if (url.includes("/main")) return { visitors: n, pageviews: n, visits: n, bounce_rate: 0, visit_duration: 0, views_per_visit: 1 };
    if (url.includes("/realtime")) return { current_visitors: n, pageviews: n, window_minutes: 5 };
    if (url.includes("/accounting")) return { edges: [], incomplete: [] };
    if (url.includes("/timeseries")) return [{ date: "2026-11-22T00:00:00", visitors: n, pageviews: n }];
    return [{ value: "x", visitors: n, pageviews: n }];
  }
  take(): string[] {
    return this.asked.splice(0);
  }
}

describe("feed", () => {
  const limits = Object.fromEntries(DIMENSIONS.map((name) => [name, 9])) as Limits;
  async function feeding(run: (fake: Fake, feed: Feed, latest: () => FeedState, settle: (ms: number) => Promise<void>) => Promise<void>) {
    vi.useFakeTimers();
    const fake = new Fake();
    const feed = new Feed(new Client(fake.fetcher), () => undefined);
    try {
      await run(fake, feed, () => feed.state, async (ms) => void (await vi.advanceTimersByTimeAsync(ms)));
    } finally {
      feed.close();
      vi.useRealTimers();
    }
  }

  test("asks everything once, then only whether anything changed", () =>
    feeding(async (fake, feed, latest, settle) => {
      feed.ask(TODAY, limits);
      expect(latest().loading).toBe(true);
      await settle(0);
      expect(latest()).toMatchObject({ loading: false, failure: null });
      expect(fake.take()).toHaveLength(3 + 1 + DIMENSIONS.length);
      await settle(1_000);
      expect(fake.take().sort()).toEqual(["/api/stats/main", "/api/stats/realtime"]);
      fake.version = 2;
      await settle(1_000);
      expect(latest().overview?.main.visitors).toBe(2);
      expect(latest().overview?.tables.os[0]?.visitors).toBe(2);
      expect(latest().overview?.series[0]?.visitors).toBe(2);
    }));

  test("backs off while the server is away, keeps the numbers, and heals", () =>
    feeding(async (fake, feed, latest, settle) => {
      feed.ask(TODAY, limits);
      await settle(0);
      fake.down = true;
      await settle(1_000);
      expect(latest().failure?.kind).toBe("offline");
      expect(latest().overview?.main.visitors).toBe(1);
      fake.take();
      await settle(60_000);
      expect(fake.take().filter((url) => url.endsWith("/main")).length).toBeLessThan(10);
      fake.down = false;
      fake.version = 3;
      await settle(30_000);
      expect(latest().failure).toBeNull();
      expect(latest().overview?.tables.pages[0]?.visitors).toBe(3);
    }));

  test("a change seen by a round that was cut short is not lost", () =>
    feeding(async (fake, feed, latest, settle) => {
      feed.ask(TODAY, limits);
      await settle(0);
      fake.version = 2;
      feed.wake();
      feed.wake();
      await settle(0);
      expect(latest().overview?.tables.pages[0]?.visitors).toBe(2);
    }));

  test("nothing is asked while nobody looks", () =>
    feeding(async (fake, feed, latest, settle) => {
      feed.ask(TODAY, limits);
      await settle(0);
      feed.watch(false);
      fake.take();
      await settle(60_000);
      expect(fake.take()).toEqual([]);
      fake.version = 5;
      feed.watch(true);
      await settle(0);
      expect(latest().overview?.main.visitors).toBe(5);
    }));

  test("another question shows the old numbers until its own are there, and its own at once on return", () =>
    feeding(async (_, feed, latest, settle) => {
      feed.ask(TODAY, limits);
      await settle(0);
      const week: Question = { ...TODAY, period: { kind: "7d" }, interval: "day" };
      feed.ask(week, limits);
      expect(latest()).toMatchObject({ loading: true, overview: { question: TODAY } });
      await settle(0);
      expect(latest()).toMatchObject({ loading: false, overview: { question: week } });
      feed.ask({ ...TODAY }, limits);
      expect(latest()).toMatchObject({ loading: false, overview: { question: TODAY } });
    }));

  test("another site never shows this one's numbers", () =>
    feeding(async (_, feed, latest, settle) => {
      feed.ask(TODAY, limits);
      await settle(0);
      feed.ask({ ...TODAY, siteId: "other" }, limits);
      expect(latest().overview).toBeNull();
      expect(latest().realtime).toBeNull();
    }));
});
