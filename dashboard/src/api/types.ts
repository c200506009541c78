// The shapes of the aggregator's answers, and the decoders that check them.
// An answer of another shape is an error the page can show, never a crash in
// the middle of a table.

export interface Site {
  site_id: string;
  uuid: string;
  domains: string[];
  name: string;
  time_zone: string;
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

export interface MainStats extends Totals {
  comparison: Totals | null;
}

export interface SeriesPoint {
  /** Local time of the site: "2026-11-22" or "2026-11-22T14:00:00". */
  date: string;
  visitors: number;
  pageviews: number;
}

export interface BreakdownRow {
  value: string | null;
  visitors: number;
  pageviews: number;
}

export interface Realtime {
  current_visitors: number;
  pageviews: number;
  window_minutes: number;
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

export interface Accounting {
  edges: EdgeAccount[];
  incomplete: Incident[];
}

export const DIMENSIONS = ["pages", "sources", "countries", "devices", "browsers", "os"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

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

export const decodeMain = record<MainStats>({ ...totals, comparison: nullable(record(totals)) });

export const decodeSites = list(
  record<Site>({ site_id: text, uuid: text, domains: list(text), name: text, time_zone: text }),
);

export const decodeSeries = list(record<SeriesPoint>({ date: text, visitors: number, pageviews: number }));

export const decodeBreakdown = list(
  record<BreakdownRow>({ value: nullable(text), visitors: number, pageviews: number }),
);

export const decodeRealtime = record<Realtime>({
  current_visitors: number,
  pageviews: number,
  window_minutes: number,
});

export const decodeAccounting = record<Accounting>({
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
});
