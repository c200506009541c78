import { describe, expect, test } from "vitest";
import { bucketStart, fillBuckets, marksOf } from "../../src/time/buckets";
import type { Interval } from "../../src/time/period";
import { knownOf, lone, niceTop, plotData, tickEvery } from "../../src/reports/overview/plot";

const NOW = "2026-11-22T14:25";
const TODAY = { from: "2026-11-22", to: "2026-11-22" };
const point = (date: string, visitors = 1, pageviews = 2) => ({ date, visitors, pageviews });

describe("filling", () => {
  test("today goes on to midnight, and what is to come has no numbers", () => {
    const points = Array.from({ length: 15 }, (_, hour) => point(`2026-11-22T${String(hour).padStart(2, "0")}:00:00`, hour));
    const buckets = fillBuckets(points, "hour", TODAY, NOW);
    expect(buckets).toHaveLength(24);
    expect(buckets[14]).toEqual({ date: "2026-11-22T14:00:00", visitors: 14, pageviews: 2, future: false, partial: true });
    expect(buckets[15]).toEqual({ date: "2026-11-22T15:00:00", visitors: null, pageviews: null, future: true, partial: false });
    expect(buckets.filter((bucket) => bucket.partial)).toHaveLength(1);
  });

  test("zeros that the server sends for hours to come are no numbers either", () => {
    const points = Array.from({ length: 24 }, (_, hour) => point(`2026-11-22T${String(hour).padStart(2, "0")}:00:00`, 0, 0));
    const buckets = fillBuckets(points, "hour", TODAY, NOW);
    expect(buckets.map((bucket) => bucket.visitors)).toEqual([...Array(15).fill(0), ...Array(9).fill(null)]);
  });

  test("the hour that summer time skips is not made up", () => {
    const day = { from: "2026-03-29", to: "2026-03-29" };
    const points = [0, 1, 3, 4].map((hour) => point(`2026-03-29T0${hour}:00:00`));
    const dates = fillBuckets(points, "hour", day, NOW).map((bucket) => bucket.date.slice(11, 13));
    expect(dates.slice(0, 5)).toEqual(["00", "01", "03", "04", "05"]);
    expect(dates).toHaveLength(23);
  });

  test("the hour that comes twice stays twice", () => {
    const day = { from: "2026-10-25", to: "2026-10-25" };
    const hours = [0, 1, 2, 2, 3];
    const buckets = fillBuckets(hours.map((hour, i) => point(`2026-10-25T0${hour}:00:00`, i)), "hour", day, NOW);
    expect(buckets).toHaveLength(25);
    expect(buckets.slice(2, 4).map((bucket) => bucket.visitors)).toEqual([2, 3]);
  });

  test("a first week that the range cuts off is one bucket, by whichever name", () => {
    const range = { from: "2026-10-24", to: "2026-11-22" };
    for (const first of ["2026-10-24", "2026-10-19"]) {
      const points = [first, "2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"].map((date) => point(date));
      const buckets = fillBuckets(points, "week", range, NOW);
      expect(buckets.map((bucket) => bucket.date)).toEqual(points.map((p) => p.date));
      expect(buckets.at(-1)?.partial).toBe(true);
    }
  });

  test("no answer at all is a range of zeros", () => {
    const range = { from: "2026-11-20", to: "2026-11-23" };
    expect(fillBuckets([], "day", range, NOW).map((bucket) => bucket.visitors)).toEqual([0, 0, 0, null]);
    expect(fillBuckets([], "month", null, NOW)).toEqual([]);
  });

  test("buckets begin where the calendar says", () => {
    expect(bucketStart("2026-11-22T14:25", "hour")).toBe("2026-11-22T14:00:00");
    expect(bucketStart("2026-11-22T14:25", "day")).toBe("2026-11-22");
    expect(bucketStart("2026-11-22T14:25", "week")).toBe("2026-11-16");
    expect(bucketStart("2026-11-22T14:25", "month")).toBe("2026-11-01");
  });
});

describe("drawing", () => {
  test("the solid line ends where the dashed one begins", () => {
    const buckets = fillBuckets([point("2026-11-20", 5), point("2026-11-21", 6), point("2026-11-22", 3)], "day", null, NOW);
    const [x, solid, dashed] = plotData(buckets);
    expect(x).toEqual([0, 1, 2]);
    expect(solid).toEqual([5, 6, null]);
    expect(dashed).toEqual([null, 6, 3]);
  });

  test.each([
    [0, 1, 1],
    [1, 1, 1],
    [3, 3, 1],
    [7, 8, 2],
    [95, 100, 25],
    [147, 150, 50],
    [3178, 4000, 1000],
    [1_200_000, 1_500_000, 500_000],
  ])("an axis for %i ends at %i in steps of %i", (largest, top, stepSize) => {
    expect(niceTop(largest)).toEqual({ top, step: stepSize });
  });

  test("an axis never cuts off and never counts in fractions of a visitor", () => {
    for (let largest = 0; largest < 5000; largest++) {
      const { top, step } = niceTop(largest);
      expect(top).toBeGreaterThanOrEqual(largest);
      expect(Number.isInteger(step) && top % step === 0 && top / step <= 5, `${largest}: ${top} by ${step}`).toBe(true);
    }
  });

  test("labels keep apart", () => {
    expect(tickEvery(24, 12, "hour")).toBe(2);
    expect(tickEvery(30, 10, "day")).toBe(3);
    expect(Math.ceil(4000 / tickEvery(4000, 6, "day"))).toBeLessThanOrEqual(6);
  });
});

describe("marks", () => {
  const bucket = (date: string) => ({ date, visitors: 1, pageviews: 1, future: false, partial: false });
  test.each<[Interval, string[], string[], number[]]>([
    ["day", ["2026-11-17", "2026-11-18", "2026-11-19"], ["2026-11-18T03:00:00"], [1]],
    ["hour", ["2026-11-18T02:00:00", "2026-11-18T03:00:00"], ["2026-11-18T03:59:59"], [1]],
    ["week", ["2026-11-12", "2026-11-16"], ["2026-11-14T00:00:00", "2026-11-22T23:59:59"], [0, 1]],
    ["month", ["2026-10-15", "2026-11-01"], ["2026-10-31T23:00:00"], [0]],
    ["day", ["2026-11-17"], ["2026-11-18T03:00:00"], []],
    ["day", ["2026-11-17"], [], []],
  ])("stand on the %s that they fall into: %j, %j", (interval, dates, moments, wanted) => {
    expect([...marksOf(dates.map(bucket), moments, interval)]).toEqual(wanted);
  });
});

describe("what nobody knows", () => {
  const unseen = (date: string) => ({ date, visitors: null, pageviews: 2 });
  const range = { from: "2026-11-20", to: "2026-11-24" };

  test("is not what is still to come", () => {
    const buckets = fillBuckets([unseen("2026-11-21"), unseen("2026-11-22")], "day", range, NOW);
    expect(buckets.map(({ visitors, pageviews, future }) => [visitors, pageviews, future])).toEqual([
      [null, 0, false], // left out by the server, and no 0 of visitors is made up
      [null, 2, false],
      [null, 2, false],
      [null, null, true],
      [null, null, true],
    ]);
    expect(knownOf(buckets)).toEqual({ visitors: false, pageviews: true });
  });

  test("in one bucket leaves the others known", () => {
    const buckets = fillBuckets([unseen("2026-11-20"), point("2026-11-21"), unseen("2026-11-22")], "day", range, NOW);
    expect(buckets.map(({ visitors }) => visitors)).toEqual([null, 1, null, null, null]);
    expect(knownOf(buckets)).toEqual({ visitors: true, pageviews: true });
  });

  test("of no bucket at all is not said", () => expect(knownOf([])).toEqual({ visitors: true, pageviews: true }));

  test("cuts a number off from the line, which is then a dot", () => {
    expect(lone([null, 3, null, 4, 5, null], [])).toEqual([1]);
    expect(lone([7], [undefined])).toEqual([0]);
    expect(lone([3, null], [3, 4])).toEqual([]); // a dashed line leads on
  });
});
