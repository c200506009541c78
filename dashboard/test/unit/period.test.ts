import { describe, expect, test } from "vitest";
import { addDays, addMonths, daysBetween, isCivilDate, localClock, startOfWeek } from "../../src/time/civil";
import { chooseInterval, intervalsFor, type Period, periodOf, PRESETS, previousRange, rangeOf, step } from "../../src/time/period";

const TODAY = "2026-11-22";

describe("civil dates", () => {
  test.each([
    ["2026-11-22", true],
    ["2028-02-29", true],
    ["2026-02-29", false],
    ["2026-13-01", false],
    ["2026-1-1", false],
    ["tomorrow", false],
    ["", false],
    [null, false],
  ])("%s is a day: %s", (text, expected) => expect(isCivilDate(text)).toBe(expected));

  test("arithmetic crosses months, years and leap days", () => {
    expect(addDays("2026-01-01", -1)).toBe("2025-12-31");
    expect(addDays("2028-02-28", 1)).toBe("2028-02-29");
    expect(addMonths("2026-01-31", 1)).toBe("2026-02-01");
    expect(addMonths("2026-11-22", -11)).toBe("2025-12-01");
    expect(daysBetween("2026-10-24", "2026-11-22")).toBe(30);
    expect(daysBetween(TODAY, TODAY)).toBe(1);
    // The clocks changed in between; a calendar has no clock.
    expect(daysBetween("2026-10-24", "2026-10-26")).toBe(3);
  });

  test("weeks begin on Monday", () => {
    expect(startOfWeek("2026-11-22")).toBe("2026-11-16"); // a Sunday
    expect(startOfWeek("2026-11-16")).toBe("2026-11-16");
  });

  test("the site's wall clock is the zone's, not the reader's", () => {
    const now = new Date("2026-11-22T23:30:00Z");
    expect(localClock(now, "Europe/Berlin")).toBe("2026-11-23T00:30:00");
    expect(localClock(now, "America/New_York")).toBe("2026-11-22T18:30:00");
    expect(localClock(now, "Asia/Kolkata")).toBe("2026-11-23T05:00:00");
    expect(localClock(new Date("2026-11-22T00:05:09Z"), "UTC")).toBe("2026-11-22T00:05:09");
    expect(localClock(now, "Mars/Olympus")).toBe("2026-11-22T23:30:00");
  });
});

describe("ranges", () => {
  test.each<[Period, string | null, string | null]>([
    [{ kind: "today" }, "2026-11-22", "2026-11-22"],
    [{ kind: "7d" }, "2026-11-16", "2026-11-22"],
    [{ kind: "30d" }, "2026-10-24", "2026-11-22"],
    [{ kind: "90d" }, "2026-08-25", "2026-11-22"],
    [{ kind: "12mo" }, "2025-12-01", "2026-11-22"],
    [{ kind: "day", date: "2026-01-02" }, "2026-01-02", "2026-01-02"],
    [{ kind: "custom", from: "2026-01-02", to: "2026-03-04" }, "2026-01-02", "2026-03-04"],
    [{ kind: "all" }, null, null],
  ])("%j covers %s to %s", (period, from, to) => {
    expect(rangeOf(period, TODAY)).toEqual(from && to ? { from, to } : null);
  });

  test("the range before is as long and touches it", () => {
    for (const kind of PRESETS) {
      const range = rangeOf({ kind }, TODAY);
      if (!range) continue;
      const before = previousRange(range);
      expect(daysBetween(before.from, before.to)).toBe(daysBetween(range.from, range.to));
      expect(addDays(before.to, 1)).toBe(range.from);
    }
  });
});

describe("stepping", () => {
  test("a day back and forth", () => {
    const yesterday = step({ kind: "today" }, TODAY, -1);
    expect(yesterday).toEqual({ kind: "day", date: "2026-11-21" });
    expect(yesterday && step(yesterday, TODAY, 1)).toEqual({ kind: "today" });
  });

  test("a rolling week back and forth", () => {
    const before = step({ kind: "7d" }, TODAY, -1);
    expect(before).toEqual({ kind: "custom", from: "2026-11-09", to: "2026-11-15" });
    expect(before && step(before, TODAY, 1)).toEqual({ kind: "7d" });
  });

  test("never past today", () => {
    for (const kind of PRESETS) expect(step({ kind }, TODAY, 1)).toBeNull();
    expect(step({ kind: "custom", from: "2026-11-10", to: "2026-11-19" }, TODAY, 1)).toEqual({
      kind: "custom",
      from: "2026-11-13",
      to: "2026-11-22",
    });
    expect(step({ kind: "day", date: "2026-12-24" }, TODAY, 1)).toBeNull();
  });

  test("all time has no neighbours", () => {
    expect(step({ kind: "all" }, TODAY, -1)).toBeNull();
  });

  test("a span that ends today is named by its length", () => {
    expect(periodOf({ from: "2026-10-24", to: TODAY }, TODAY)).toEqual({ kind: "30d" });
    expect(periodOf({ from: "2026-10-25", to: TODAY }, TODAY)).toEqual({ kind: "custom", from: "2026-10-25", to: TODAY });
  });
});

describe("intervals", () => {
  test.each([
    [1, "hour"],
    [7, "day"],
    [30, "day"],
    [92, "day"],
    [120, "week"],
    [356, "month"],
    [null, "month"],
  ])("%s days are drawn by %s", (days, interval) => {
    expect(chooseInterval(null, days)).toBe(interval);
    expect(intervalsFor(days)).toContain(interval);
  });

  test("a wish counts where it suits the period", () => {
    expect(chooseInterval("hour", 7)).toBe("hour");
    expect(chooseInterval("hour", 30)).toBe("day");
    expect(chooseInterval("month", 1)).toBe("hour");
    expect(chooseInterval("day", null)).toBe("day");
  });
});
