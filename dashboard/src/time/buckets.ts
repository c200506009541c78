// Buckets: the points of the chart. The server sends every bucket of the range;
// what it does not send is time to come, such as the rest of today. Holes
// inside its answer are left alone: an hour that summer time skips is none.

import type { SeriesPoint } from "../api/types";
import { addDays, addMonths, type CivilDate, fromUTC, startOfWeek, toUTC } from "./civil";
import type { DateRange, Interval } from "./period";

export interface Bucket {
  /** The bucket's first moment in the site's local time: a day, or a day and an hour. */
  date: string;
  /** null where the bucket has not begun yet, or where nobody knows. */
  visitors: number | null;
  pageviews: number | null;
  /** It has not begun yet. */
  future: boolean;
  /** The bucket that now falls into: its numbers still grow. */
  partial: boolean;
}

/**
 * fillBuckets keeps the server's buckets as they come (at the end of summer
 * time one hour comes twice) and extends them to the whole range.
 */
export function fillBuckets(
  points: readonly SeriesPoint[],
  interval: Interval,
  range: DateRange | null,
  now: string,
): Bucket[] {
  const current = bucketStart(now, interval);
  const bucket = (point: SeriesPoint): Bucket => {
    const start = bucketStart(point.date, interval);
    const future = start > current;
    return {
      date: point.date,
      visitors: future ? null : point.visitors,
      pageviews: future ? null : point.pageviews,
      future,
      partial: start === current,
    };
  };
  // What was known of no bucket is not known of one that the server left out.
  const none = points.length > 0 && points.every((point) => point.visitors === null) ? null : 0;
  const empty = (date: string): Bucket => bucket({ date, visitors: none, pageviews: 0 });
  const dates = expected(interval, range);
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last) return dates.map(empty);
  const begin = bucketStart(first.date, interval);
  const end = bucketStart(last.date, interval);
  return [
    ...dates.filter((date) => bucketStart(date, interval) < begin).map(empty),
    ...points.map(bucket),
    ...dates.filter((date) => bucketStart(date, interval) > end).map(empty),
  ];
}

/** marksOf finds the buckets, by index, that moments fall into; they are local times. */
export function marksOf(buckets: readonly Bucket[], moments: readonly string[], interval: Interval): ReadonlySet<number> {
  const starts = new Set(moments.map((moment) => bucketStart(moment, interval)));
  return new Set(buckets.flatMap((bucket, i) => (starts.has(bucketStart(bucket.date, interval)) ? [i] : [])));
}

/** bucketStart is where the bucket of a local time begins. */
export function bucketStart(local: string, interval: Interval): string {
  const day = local.slice(0, 10);
  switch (interval) {
    case "hour":
      return `${day}T${local.slice(11, 13) || "00"}:00:00`;
    case "day":
      return day;
    case "week":
      return startOfWeek(day);
    case "month":
      return `${day.slice(0, 7)}-01`;
  }
}

function expected(interval: Interval, range: DateRange | null): string[] {
  if (!range) return [];
  if (interval === "hour") return hours(range);
  // The first week or month begins where the range does: the server cuts it off.
  const dates: string[] = [range.from];
  let next = following(bucketStart(range.from, interval), interval);
  while (next <= range.to) {
    dates.push(next);
    next = following(next, interval);
  }
  return dates;
}

function following(start: CivilDate, interval: Interval): CivilDate {
  if (interval === "month") return addMonths(start, 1);
  return addDays(start, interval === "week" ? 7 : 1);
}

function hours(range: DateRange): string[] {
  const dates: string[] = [];
  const end = toUTC(range.to).getTime() + 86_400_000;
  for (let at = toUTC(range.from).getTime(); at < end; at += 3_600_000) {
    const date = new Date(at);
    dates.push(`${fromUTC(date)}T${String(date.getUTCHours()).padStart(2, "0")}:00:00`);
  }
  return dates;
}
