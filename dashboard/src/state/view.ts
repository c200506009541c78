// The view: everything that decides what the page shows. It lives in the
// query string, so that a reload, a bookmark and the back button keep it.

import { TRAFFIC_TABLES } from "../api/types";
import { addDays, isCivilDate } from "../time/civil";
import { DEFAULT_PERIOD, type Interval, INTERVALS, type Period, type Preset, PRESETS } from "../time/period";

export type ChartForm = "chart" | "table";

/** What the report of all traffic can be opened at. */
export const TRAFFIC_TABS = ["requests", "pageviews", ...TRAFFIC_TABLES] as const;
export type TrafficTab = (typeof TRAFFIC_TABS)[number];

export interface View {
  /** A site's id, UUID or domain; null = the first one. */
  site: string | null;
  period: Period;
  /** null = what suits the period. */
  interval: Interval | null;
  form: ChartForm;
  /** null = its details are closed. */
  traffic: TrafficTab | null;
}

/** parseView reads a query string; what makes no sense becomes the default. */
export function parseView(search: string): View {
  const query = new URLSearchParams(search);
  const interval = query.get("interval");
  const traffic = query.get("traffic");
  return {
    site: query.get("site") || null,
    period: parsePeriod(query),
    interval: INTERVALS.find((known) => known === interval) ?? null,
    form: query.get("show") === "table" ? "table" : "chart",
    traffic: TRAFFIC_TABS.find((known) => known === traffic) ?? null,
  };
}

function parsePeriod(query: URLSearchParams): Period {
  const kind = query.get("period");
  if (kind === "day") {
    const date = query.get("date");
    return isCivilDate(date) ? { kind, date } : DEFAULT_PERIOD;
  }
  if (kind === "custom") {
    const from = query.get("from");
    const to = query.get("to");
    if (!isCivilDate(from) || !isCivilDate(to)) return DEFAULT_PERIOD;
    return customPeriod(from, to);
  }
  return PRESETS.includes(kind as Preset) ? { kind: kind as Preset } : DEFAULT_PERIOD;
}

/** The longest range that the page asks for: ten years. */
const LONGEST_DAYS = 3653;

/** customPeriod takes two days in either order and bounds what lies between. */
export function customPeriod(one: string, other: string): Period {
  const [from, to] = one <= other ? [one, other] : [other, one];
  const earliest = addDays(to, -LONGEST_DAYS);
  return from === to ? { kind: "day", date: from } : { kind: "custom", from: from < earliest ? earliest : from, to };
}

/** formatView is the inverse of parseView; defaults are left out. */
export function formatView(view: View): string {
  const query = new URLSearchParams();
  if (view.site) query.set("site", view.site);
  const { period } = view;
  if (period.kind !== DEFAULT_PERIOD.kind) query.set("period", period.kind);
  if (period.kind === "day") query.set("date", period.date);
  if (period.kind === "custom") {
    query.set("from", period.from);
    query.set("to", period.to);
  }
  if (view.interval) query.set("interval", view.interval);
  if (view.form === "table") query.set("show", "table");
  if (view.traffic) query.set("traffic", view.traffic);
  const text = query.toString();
  return text && `?${text}`;
}
