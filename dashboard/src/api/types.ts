// The shapes of the aggregator's answers, and the decoders that check them.
// An answer of another shape is an error the page can show, never a crash in
// the middle of a table.

export interface Site {
  site_id: string;
  uuid: string;
  domains: string[];
  name: string;
  time_zone: string;
  /** It takes no events any more; what it has stays. */
  archived: boolean;
}

/** UnknownHost was asked for at an edge and belongs to no site. */
export interface UnknownHost {
  host: string;
  /** Since the aggregator began. */
  requests: number;
  /** RFC 3339, UTC. */
  last_seen: string;
}

/** A number that can't be computed is null, never 0. */
export interface Totals {
  visitors: number | null;
  pageviews: number | null;
  visits: number | null;
  /** A fraction, 0 to 1. */
  bounce_rate: number | null;
  /** Seconds. */
  visit_duration: number | null;
  views_per_visit: number | null;
}

/** Caveat says what of an answer is null, or less than it looks, and why. */
export interface Caveat {
  reason: string;
  /** Numbers and dimensions, as the API calls them. */
  affects: string[];
  /** One sentence of the server's. */
  message: string;
}

export interface Meta {
  caveats: Caveat[];
}

export interface MainStats extends Totals {
  comparison: Totals | null;
  /** null where there is nothing to know of the numbers, as of most sites. */
  meta: Meta | null;
}

export interface SeriesPoint {
  /** Local time of the site: "2026-11-22" or "2026-11-22T14:00:00". */
  date: string;
  visitors: number | null;
  pageviews: number | null;
}

export interface BreakdownRow {
  value: string | null;
  /** null where nobody knows: the rows were recorded without a visitor id. */
  visitors: number | null;
  pageviews: number;
  /** Rows of a table that is not about page views; 0 in one that is. */
  events: number;
}

export interface Realtime {
  current_visitors: number | null;
  pageviews: number | null;
  window_minutes: number;
  meta: Meta | null;
}

export interface EdgeAccount {
  edge: string;
  name: string;
  version: string;
  captured: number;
  stored: number;
  queued: number;
  dropped: number;
  rejected: number;
  lost: number;
  /** How old its newest batch was on arrival, milliseconds. */
  lag_ms: number | null;
  clock_skew_ms: number | null;
  /** When it was last heard, RFC 3339; null where the server does not say. */
  last_seen: string | null;
}

export interface Incident {
  /** RFC 3339, UTC. */
  from: string;
  to: string;
  count: number;
  reason: string;
}

/** people = recorded + activated + script_only + cached - reclassified. */
export interface PageviewBooks {
  recorded: number;
  activated: number;
  script_only: number;
  cached: number;
  reclassified: number;
  people: number;
}

export interface Accounting {
  /** What edges reported; null where none did. The results sum to it. */
  requests: number | null;
  /** By what became of the request. A newer server may know more results. */
  results: ReadonlyMap<string, number>;
  pageviews: PageviewBooks;
  edges: EdgeAccount[];
  incomplete: Incident[];
  /** When identities began anew because the salts were lost, RFC 3339. */
  identity_changed: string[];
}

export const DIMENSIONS = ["pages", "sources", "countries", "devices", "browsers", "os"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** Tables of what is no page view; the page asks for one while it is open. */
export const TRAFFIC_TABLES = ["bots", "crawlers", "not-found", "downloads"] as const;
export type TrafficTable = (typeof TRAFFIC_TABLES)[number];

/** ShapeError names the place in an answer that is not as agreed. */
export class ShapeError extends Error {
  constructor(path: string, wanted: string) {
    super(`${path} is not ${wanted}`);
    this.name = "ShapeError";
  }
}

export type Decoder<T> = (value: unknown, path: string) => T;

const number: Decoder<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new ShapeError(path, "a number");
  return value;
};

const text: Decoder<string> = (value, path) => {
  if (typeof value !== "string") throw new ShapeError(path, "text");
  return value;
};

/** count is of things: whole, and not below zero. */
const count: Decoder<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw new ShapeError(path, "a count");
  return value;
};

const flag: Decoder<boolean> = (value, path) => {
  if (typeof value !== "boolean") throw new ShapeError(path, "true or false");
  return value;
};

/** orNull takes null, and does not take an absent key for it. */
function orNull<T>(decode: Decoder<T>): Decoder<T | null> {
  return (value, path) => (value === null ? null : decode(value, path));
}

/** ifThere takes an absent key for a value of its own: what is empty is left out. */
function ifThere<T>(decode: Decoder<T>, absent: T): Decoder<T> {
  return (value, path) => (value === undefined ? absent : decode(value, path));
}

/** nullable also takes an absent key for null. */
function nullable<T>(decode: Decoder<T>): Decoder<T | null> {
  return (value, path) => (value === null || value === undefined ? null : decode(value, path));
}

function list<T>(decode: Decoder<T>): Decoder<T[]> {
  return (value, path) => {
    // Go encodes an empty slice that was never made as null.
    if (value === null) return [];
    if (!Array.isArray(value)) throw new ShapeError(path, "a list");
    return value.map((item, index) => decode(item, `${path}[${index}]`));
  };
}

/** mapOf is a map and no object: a key from outside may be "__proto__". */
function mapOf<T>(decode: Decoder<T>): Decoder<ReadonlyMap<string, T>> {
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ShapeError(path, "an object");
    return new Map(Object.entries(value).map(([key, item]) => [key, decode(item, `${path}.${key}`)]));
  };
}

type Fields<T> = { [Key in keyof T]: Decoder<T[Key]> };

/** record ignores keys that it does not know: a newer server may say more. */
function record<T>(fields: Fields<T>): Decoder<T> {
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ShapeError(path, "an object");
    const source = value as Record<string, unknown>;
    const result: Partial<T> = {};
    for (const key of Object.keys(fields) as (keyof T & string)[]) {
      result[key] = fields[key](source[key], `${path}.${key}`);
    }
    return result as T;
  };
}

const totals: Fields<Totals> = {
  visitors: nullable(number),
  pageviews: nullable(number),
  visits: nullable(number),
  bounce_rate: nullable(number),
  visit_duration: nullable(number),
  views_per_visit: nullable(number),
};

const meta = nullable(record<Meta>({ caveats: list(record<Caveat>({ reason: text, affects: list(text), message: text })) }));

export const decodeMain = record<MainStats>({ ...totals, comparison: nullable(record(totals)), meta });

export const decodeSite = record<Site>({
  site_id: text,
  uuid: text,
  domains: list(text),
  name: text,
  time_zone: text,
  archived: flag,
});

export const decodeSites = list(decodeSite);

export const decodeUnknownHosts = list(record<UnknownHost>({ host: text, requests: count, last_seen: text }));

export const decodeSeries = list(record<SeriesPoint>({ date: text, visitors: orNull(number), pageviews: orNull(number) }));

export const decodeBreakdown = list(
  record<BreakdownRow>({ value: nullable(text), visitors: orNull(number), pageviews: number, events: ifThere(count, 0) }),
);

export const decodeRealtime = record<Realtime>({
  current_visitors: orNull(number),
  pageviews: orNull(number),
  window_minutes: number,
  meta,
});

export const decodeAccounting = record<Accounting>({
  requests: orNull(count),
  results: mapOf(count),
  pageviews: record<PageviewBooks>({
    recorded: count,
    activated: count,
    script_only: count,
    cached: count,
    reclassified: count,
    people: count,
  }),
  edges: list(
    record<EdgeAccount>({
      edge: text,
      name: text,
      version: text,
      captured: number,
      stored: number,
      queued: number,
      dropped: number,
      rejected: number,
      lost: number,
      lag_ms: nullable(number),
      clock_skew_ms: nullable(number),
      last_seen: nullable(text),
    }),
  ),
  incomplete: list(record<Incident>({ from: text, to: text, count: number, reason: text })),
  identity_changed: list(text),
});
