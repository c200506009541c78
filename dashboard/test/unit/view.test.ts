import { describe, expect, test } from "vitest";
import { customPeriod, formatView, parseView, type View } from "../../src/state/view";

const PLAIN: View = { site: null, period: { kind: "today" }, interval: null, form: "chart", traffic: null };

describe("the address bar", () => {
  test.each<[string, View]>([
    ["", PLAIN],
    ["?site=example.com", { ...PLAIN, site: "example.com" }],
    ["?period=30d&interval=week", { ...PLAIN, period: { kind: "30d" }, interval: "week" }],
    ["?period=day&date=2026-11-21", { ...PLAIN, period: { kind: "day", date: "2026-11-21" } }],
    [
      "?site=a&period=custom&from=2026-11-02&to=2026-11-15&show=table",
      { site: "a", period: { kind: "custom", from: "2026-11-02", to: "2026-11-15" }, interval: null, form: "table", traffic: null },
    ],
    ["?show=table&traffic=not-found", { ...PLAIN, form: "table", traffic: "not-found" }],
  ])("%s means the same both ways", (search, view) => {
    expect(parseView(search)).toEqual(view);
    expect(formatView(view)).toBe(search);
  });

  test.each([
    "?period=fortnight",
    "?period=day",
    "?period=day&date=2026-02-30",
    "?period=custom&from=2026-11-02",
    "?period=custom&from=x&to=y",
    "?period=__proto__",
    "?interval=second",
    "?show=pie",
    "?traffic=toString",
    "?%E0%A4%A",
  ])("%s makes no sense and is the default", (search) => {
    expect(parseView(search)).toEqual(PLAIN);
  });

  test("a site's name is kept as it is and quoted in the address", () => {
    const site = `a&b="<é>`;
    expect(parseView(formatView({ ...PLAIN, site })).site).toBe(site);
  });
});

describe("two dates", () => {
  test("come in either order", () => {
    expect(customPeriod("2026-11-15", "2026-11-02")).toEqual({ kind: "custom", from: "2026-11-02", to: "2026-11-15" });
  });
  test("that are one make a day", () => {
    expect(customPeriod("2026-11-02", "2026-11-02")).toEqual({ kind: "day", date: "2026-11-02" });
  });
  test("are at most ten years apart", () => {
    expect(customPeriod("1970-01-01", "2026-11-22")).toEqual({ kind: "custom", from: "2016-11-21", to: "2026-11-22" });
  });
});
