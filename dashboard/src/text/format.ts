// Numbers, dates and durations as a reader wants to see them. The language is
// the catalogue's; the region (order of day and month, 12 or 24 hours) is the
// reader's own where it is of that language.

import { toUTC } from "../time/civil";
import type { DateRange, Interval } from "../time/period";
import { t } from "./en";

export const locale = pickLocale(typeof navigator === "undefined" ? [] : navigator.languages);

export function pickLocale(wanted: readonly string[]): string {
  return wanted.find((tag) => tag === t.language || tag.startsWith(`${t.language}-`)) ?? t.locale;
}

const integers = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 2 });
const axis = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const absurd = new Intl.NumberFormat(locale, { notation: "scientific", maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const formatInteger = (value: number): string => integers.format(value);
export const formatPercent = (fraction: number): string => percent.format(fraction);
export const formatTenths = (value: number): string => tenths.format(value);
export const formatAxis = (value: number): string => (value < ABSURD ? axis : absurd).format(value);

/** From here on words for powers of ten run out. */
const ABSURD = 1e15;

/** formatShare never rounds what is there down to nothing, nor what is missing up to everything. */
export function formatShare(part: number, whole: number): string {
  const fraction = whole > 0 ? part / whole : 0;
  if (fraction > 0 && fraction < 0.01) return t.share.below(percent.format(0.01));
  if (fraction < 1 && fraction > 0.99) return t.share.above(percent.format(0.99));
  return percent.format(fraction);
}

/** formatCount shortens what would not fit beside three others: from a million on. */
export function formatCount(value: number): string {
  if (value < 1_000_000) return integers.format(value);
  return (value < ABSURD ? compact : absurd).format(value);
}

/** formatDuration has at most two units: "48s", "2m 41s", "1h 4m". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return t.duration.seconds(whole);
  if (whole < 3600) return join(t.duration.minutes(Math.floor(whole / 60)), whole % 60, t.duration.seconds);
  const minutes = Math.round(whole / 60);
  if (minutes < 24 * 60) return join(t.duration.hours(Math.floor(minutes / 60)), minutes % 60, t.duration.minutes);
  const hours = Math.round(minutes / 60);
  return join(t.duration.days(Math.floor(hours / 24)), hours % 24, t.duration.hours);
}

function join(large: string, rest: number, small: (value: number) => string): string {
  return rest === 0 ? large : `${large} ${small(rest)}`;
}

const UTC = { timeZone: "UTC" } as const;
const dayOnly = new Intl.DateTimeFormat(locale, { ...UTC, day: "numeric", month: "long", year: "numeric" });
const dayFull = new Intl.DateTimeFormat(locale, { ...UTC, weekday: "long", day: "numeric", month: "long", year: "numeric" });
const dayRow = new Intl.DateTimeFormat(locale, { ...UTC, weekday: "short", day: "numeric", month: "short", year: "numeric" });
const dayShort = new Intl.DateTimeFormat(locale, { ...UTC, day: "numeric", month: "short" });
const monthFull = new Intl.DateTimeFormat(locale, { ...UTC, month: "long", year: "numeric" });
const monthShort = new Intl.DateTimeFormat(locale, { ...UTC, month: "short" });
const monthYear = new Intl.DateTimeFormat(locale, { ...UTC, month: "short", year: "numeric" });
// "9:05" for clocks of 12 hours, "09:05" for those of 24.
const HOUR = new Intl.DateTimeFormat(locale, { hour: "numeric" }).resolvedOptions().hour12 ? "numeric" : "2-digit";
const hourTick = new Intl.DateTimeFormat(locale, HOUR === "numeric" ? { ...UTC, hour: "numeric" } : { ...UTC, hour: HOUR, minute: "2-digit" });
const hourOnly = new Intl.DateTimeFormat(locale, { ...UTC, hour: HOUR, minute: "2-digit" });
const clock = new Intl.DateTimeFormat(locale, { hour: HOUR, minute: "2-digit", second: "2-digit" });

/** formatClock is a moment on the reader's own clock. */
export const formatClock = (time: number): string => clock.format(new Date(time));

/** plainSpaces stand around the dash of a span: screen readers take thin ones for a part of the number. */
function plainSpaces(span: string): string {
  return span.replace(/\s*–\s*/u, " – ");
}

export function formatRange(range: DateRange): string {
  if (range.from === range.to) return dayFull.format(toUTC(range.from));
  return plainSpaces(dayOnly.formatRange(toUTC(range.from), toUTC(range.to)));
}

export function formatRangeShort(range: DateRange): string {
  if (range.from === range.to) return dayShort.format(toUTC(range.from));
  return plainSpaces(dayShort.formatRange(toUTC(range.from), toUTC(range.to)));
}

/** localTime reads a bucket's date as if it were UTC: nothing is converted. */
function localTime(date: string): Date {
  return new Date(date.length > 10 ? `${date}Z` : `${date}T00:00:00Z`);
}

/** formatTick is a bucket's label below the chart. */
export function formatTick(date: string, interval: Interval, hoursOnly: boolean): string {
  const at = localTime(date);
  if (interval === "hour") return hoursOnly ? hourTick.format(at) : dayShort.format(at);
  if (interval === "month") return at.getUTCMonth() === 0 ? monthYear.format(at) : monthShort.format(at);
  return dayShort.format(at);
}

/** formatBucket is a bucket's full name, in the tooltip and the table. */
export function formatBucket(date: string, interval: Interval, oneDay: boolean): string {
  const at = localTime(date);
  switch (interval) {
    case "hour": {
      const time = plainSpaces(hourOnly.formatRange(at, new Date(at.getTime() + 3_600_000)));
      return oneDay ? time : `${dayShort.format(at)}, ${hourOnly.format(at)}`;
    }
    case "day":
      return dayFull.format(at);
    case "week":
      return t.chart.weekOf(dayOnly.format(at));
    case "month":
      return monthFull.format(at);
  }
}

/** formatBucketRow is a bucket's name in a column, where each word counts. */
export function formatBucketRow(date: string, interval: Interval, oneDay: boolean): string {
  return interval === "day" ? dayRow.format(localTime(date)) : formatBucket(date, interval, oneDay);
}

/** formatMoment says when something happened, in the site's zone. */
export const formatMoment = (at: string, zone: string): string => formatMoments(at, at, zone);

/** formatMoments is a span of moments; of one that has no length it is the moment. */
export function formatMoments(from: string, to: string, zone: string): string {
  const start = new Date(from);
  const end = new Date(to);
  if (Number.isNaN(start.getTime()) || Number.isNaN(end.getTime())) return `${from} – ${to}`;
  const options: Intl.DateTimeFormatOptions = { day: "numeric", month: "short", hour: HOUR, minute: "2-digit" };
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat(locale, { ...options, timeZone: zone });
  } catch {
    format = new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC", timeZoneName: "short" });
  }
  return plainSpaces(format.formatRange(start, end));
}

/** formatSentence sets the moments in a sentence of the server's into the site's zone. */
export function formatSentence(sentence: string, zone: string): string {
  return sentence.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\b/g, (moment) => formatMoment(moment, zone));
}

const regions = new Intl.DisplayNames([locale], { type: "region", fallback: "none" });

/** countryName is undefined for what is no known ISO 3166 code. */
export function countryName(code: string): string | undefined {
  return /^[A-Z]{2}$/.test(code) ? regions.of(code) : undefined;
}
