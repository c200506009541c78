// Periods: what the reader asks for, the days it covers, and its neighbours.

import { addDays, addMonths, type CivilDate, daysBetween } from "./civil";

export const PRESETS = ["today", "7d", "30d", "90d", "12mo", "all"] as const;
export type Preset = (typeof PRESETS)[number];

export type Period =
  | { kind: Preset }
  | { kind: "day"; date: CivilDate }
  | { kind: "custom"; from: CivilDate; to: CivilDate };

export interface DateRange {
  from: CivilDate;
  to: CivilDate;
}

export const DEFAULT_PERIOD: Period = { kind: "today" };

const ROLLING: Partial<Record<Period["kind"], number>> = { today: 1, "7d": 7, "30d": 30, "90d": 90 };

/** rangeOf is null for "all": only the server knows when a site began. */
export function rangeOf(period: Period, today: CivilDate): DateRange | null {
  switch (period.kind) {
    case "all":
      return null;
    case "day":
      return { from: period.date, to: period.date };
    case "custom":
      return { from: period.from, to: period.to };
    case "12mo":
      return { from: addMonths(today, -11), to: today };
    default:
      return { from: addDays(today, 1 - (ROLLING[period.kind] ?? 1)), to: today };
  }
}

/** previousRange is as long as the range and ends the day before it. */
export function previousRange(range: DateRange): DateRange {
  const days = daysBetween(range.from, range.to);
  return { from: addDays(range.from, -days), to: addDays(range.from, -1) };
}

/**
 * periodOf names a range as a reader would: a rolling period where it is one,
 * else a day or a span of days.
 */
export function periodOf(range: DateRange, today: CivilDate): Period {
  const days = daysBetween(range.from, range.to);
  if (range.to === today) {
    for (const kind of PRESETS) {
      if (ROLLING[kind] === days) return { kind };
    }
  }
  return days === 1 ? { kind: "day", date: range.from } : { kind: "custom", from: range.from, to: range.to };
}

/**
 * step goes to the period of the same length before (-1) or after (+1), never
 * past today; null where there is none.
 */
export function step(period: Period, today: CivilDate, direction: -1 | 1): Period | null {
  const range = rangeOf(period, today);
  if (!range) return null;
  const days = daysBetween(range.from, range.to);
  if (direction < 0) return periodOf(previousRange(range), today);
  if (range.to >= today) return null;
  const to = addDays(range.to, days);
  // The last step may be shorter than a whole length: then it ends today.
  const shift = to > today ? daysBetween(range.to, today) - 1 : days;
  return periodOf({ from: addDays(range.from, shift), to: addDays(range.to, shift) }, today);
}

export const INTERVALS = ["hour", "day", "week", "month"] as const;
export type Interval = (typeof INTERVALS)[number];

/** intervalsFor lists what suits a number of days (null = unknown, "all"). */
export function intervalsFor(days: number | null): readonly [Interval, ...Interval[]] {
  if (days === null) return ["day", "week", "month"];
  if (days <= 1) return ["hour"];
  if (days <= 7) return ["hour", "day"];
  if (days <= 31) return ["day", "week"];
  return ["day", "week", "month"];
}

/** defaultInterval is the one that draws between 7 and 100 points. */
export function defaultInterval(days: number | null): Interval {
  if (days === null) return "month";
  if (days <= 1) return "hour";
  if (days <= 92) return "day";
  return days <= 183 ? "week" : "month";
}

/** chooseInterval takes the reader's wish where it suits the period. */
export function chooseInterval(wish: Interval | null, days: number | null): Interval {
  return wish && intervalsFor(days).includes(wish) ? wish : defaultInterval(days);
}
