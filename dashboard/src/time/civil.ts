// Civil dates: days of the site's calendar as "2026-11-22", without a time or
// a zone. All arithmetic goes through UTC, where every day has 24 hours.

export type CivilDate = string;

const DAY_MS = 86_400_000;

export function toUTC(date: CivilDate): Date {
  return new Date(`${date.slice(0, 10)}T00:00:00Z`);
}

export function fromUTC(date: Date): CivilDate {
  return date.toISOString().slice(0, 10);
}

/** isCivilDate accepts only days that exist: 2026-02-30 is refused. */
export function isCivilDate(text: string | null | undefined): text is CivilDate {
  if (!text || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = toUTC(text);
  return !Number.isNaN(date.getTime()) && fromUTC(date) === text;
}

export function addDays(date: CivilDate, days: number): CivilDate {
  return fromUTC(new Date(toUTC(date).getTime() + days * DAY_MS));
}

/** addMonths keeps to the first of the month, where no month is too short. */
export function addMonths(date: CivilDate, months: number): CivilDate {
  const start = toUTC(date);
  return fromUTC(new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + months, 1)));
}

/** daysBetween counts both ends: from a day to itself is 1. */
export function daysBetween(from: CivilDate, to: CivilDate): number {
  return Math.round((toUTC(to).getTime() - toUTC(from).getTime()) / DAY_MS) + 1;
}

/** startOfWeek is the Monday on or before the date (ISO 8601). */
export function startOfWeek(date: CivilDate): CivilDate {
  const weekday = (toUTC(date).getUTCDay() + 6) % 7;
  return addDays(date, -weekday);
}

/** localClock is the wall clock of a zone, as "2026-11-22T14:05:09". */
export function localClock(now: Date, zone: string): string {
  const parts: Record<string, string> = {};
  for (const part of clockFormat(zone).formatToParts(now)) parts[part.type] = part.value;
  return `${parts["year"]}-${parts["month"]}-${parts["day"]}T${parts["hour"]}:${parts["minute"]}:${parts["second"]}`;
}

const clockFormats = new Map<string, Intl.DateTimeFormat>();

function clockFormat(zone: string): Intl.DateTimeFormat {
  let format = clockFormats.get(zone);
  if (!format) {
    const options: Intl.DateTimeFormatOptions = {
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    };
    try {
      format = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
    } catch {
      // A zone newer than this browser's tables: UTC is wrong by hours at
      // most, and the numbers themselves come from the server either way.
      format = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" });
    }
    clockFormats.set(zone, format);
  }
  return format;
}
