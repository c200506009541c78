import { describe, expect, test } from "vitest";
import { edgeTroubles } from "../../src/reports/accounting/edges";
import { labelOf } from "../../src/reports/breakdown/label";
import type { EdgeAccount } from "../../src/api/types";
import { computeChange } from "../../src/text/change";
import { t } from "../../src/text/en";
import {
  countryName,
  formatBucket,
  formatCount,
  formatDuration,
  formatMoments,
  formatPercent,
  formatRange,
  formatSentence,
  formatTick,
  pickLocale,
} from "../../src/text/format";
import { visible } from "../../src/text/outside";

describe("numbers", () => {
  test.each([
    [0, "0"],
    [14608, "14,608"],
    [999999, "999,999"],
    [1240312, "1.24m"],
    [123_456_789_012, "123.46bn"],
    [Number.MAX_SAFE_INTEGER, "9.01e15"],
    [2 ** 64, "1.84e19"],
  ])("%i is %s", (value, text) => expect(formatCount(value).toLowerCase()).toBe(text));

  test.each([
    [0, "0s"],
    [48.4, "48s"],
    [59.6, "1m"],
    [60, "1m"],
    [161, "2m 41s"],
    [3600, "1h"],
    [3840, "1h 4m"],
    [86_399, "1d"],
    [90_000, "1d 1h"],
    [-3, "0s"],
  ])("%d seconds are %s", (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  test("fractions", () => expect(formatPercent(0.424)).toBe("42%"));
});

describe("change", () => {
  test.each([
    [112, 100, "relative", true, 0.12, "up", "good"],
    [88, 100, "relative", true, -0.12, "down", "bad"],
    [0.42, 0.45, "points", false, -0.03, "down", "good"],
    [0.5, 0.45, "points", false, 0.05, "up", "bad"],
    [100.2, 100, "relative", true, 0, "same", "neutral"],
    [0, 0, "relative", true, 0, "same", "neutral"],
    [0, 10, "relative", true, -1, "down", "bad"],
  ] as const)("from %d to %d", (current, previous, kind, more, amount, direction, mood) => {
    const change = computeChange(current, previous, kind, more);
    expect(change?.amount).toBeCloseTo(amount, 10);
    expect(change).toMatchObject({ direction, mood });
  });

  test("nothing to compare with is no change, not a hundred per cent", () => {
    expect(computeChange(5, 0, "relative", true)).toBeNull();
    expect(computeChange(null, 5, "relative", true)).toBeNull();
    expect(computeChange(5, null, "relative", true)).toBeNull();
    expect(computeChange(5, undefined, "relative", true)).toBeNull();
  });
});

describe("dates", () => {
  test("ranges say what they share once", () => {
    expect(formatRange({ from: "2026-11-16", to: "2026-11-22" })).toBe("16 – 22 November 2026");
    expect(formatRange({ from: "2026-10-24", to: "2026-11-22" })).toBe("24 October – 22 November 2026");
    expect(formatRange({ from: "2026-11-22", to: "2026-11-22" })).toBe("Sunday 22 November 2026".replace("Sunday ", "Sunday, "));
  });

  test("buckets are read in the site's time, whatever this machine's zone", () => {
    expect(formatBucket("2026-11-22T14:00:00", "hour", true)).toBe("14:00 – 15:00");
    expect(formatBucket("2026-11-22T14:00:00", "hour", false)).toBe("22 Nov, 14:00");
    expect(formatBucket("2026-11-16", "week", false)).toBe("Week of 16 November 2026");
    expect(formatBucket("2026-11-01", "month", false)).toBe("November 2026");
    expect(formatTick("2026-01-01", "month", false)).toBe("Jan 2026");
    expect(formatTick("2026-02-01", "month", false)).toBe("Feb");
    expect(formatTick("2026-11-22T00:00:00", "hour", true)).toBe("00:00");
  });

  test("incidents are told in the site's zone, and nonsense as it came", () => {
    expect(formatMoments("2026-11-21T13:02:11Z", "2026-11-21T13:37:40Z", "Europe/Berlin")).toBe("21 Nov, 14:02 – 14:37");
    expect(formatMoments("2026-11-21T13:02:11Z", "2026-11-21T13:37:40Z", "Mars/Olympus")).toContain("13:02");
    expect(formatMoments("yesterday", "today", "UTC")).toBe("yesterday – today");
  });

  test("the reader's region counts where it speaks the page's language", () => {
    expect(pickLocale(["de-DE", "en-US"])).toBe("en-US");
    expect(pickLocale(["de-DE"])).toBe("en-GB");
    expect(pickLocale(["eno"])).toBe("en-GB");
  });
});

describe("labels", () => {
  test("countries have names, unknown codes stay as they are", () => {
    expect(labelOf("countries", "DE")).toMatchObject({ text: "Germany", code: "DE", special: false });
    expect(labelOf("countries", "<i>")).toMatchObject({ text: "<i>", special: false });
    expect(countryName("germany")).toBeUndefined();
    expect(countryName("QQ")).toBeUndefined();
  });

  test("what is unknown says so, and no source is direct", () => {
    for (const value of [null, "(unknown)", ""]) {
      expect(labelOf("browsers", value)).toMatchObject({ text: "Unknown", special: true });
      expect(labelOf("sources", value)).toMatchObject({ text: "Direct / None", special: true });
    }
    expect(labelOf("devices", "mobile").text).toBe("Mobile");
    expect(labelOf("devices", "toaster").text).toBe("toaster");
    expect(labelOf("devices", "constructor").text).toBe("constructor");
  });

  test("signs that can't be seen are made visible", () => {
    expect(visible("/\u202egnp.exe")).toBe("/\ufffdgnp.exe");
    expect(visible("/a\u0000b\u0007")).toBe("/a␀b␇");
    // An Arabic mark that turns around, a soft hyphen, ends of lines, fillers, tags.
    for (const sign of ["\u061c", "\u00ad", "\u2028", "\u2029", "\u200b", "\u2060", "\u3164", "\u2800", "\u{e0041}"]) {
      expect(visible(`/a${sign}b`), sign.codePointAt(0)?.toString(16)).toBe("/a\ufffdb");
    }
    expect(labelOf("pages", "  ").text).toBe("␠␠");
    expect(labelOf("pages", "/a b  c ").text).toBe("/a b␠␠c␠");
    expect(visible("/морские/鳥?x=1&y=é")).toBe("/морские/鳥?x=1&y=é");
  });
});

test("moments in sentences are the site's", () => {
  const sentence = "The options were changed at 2026-11-25T23:12:40Z: what was recorded before 2026 follows those of then.";
  expect(formatSentence(sentence, "Europe/Berlin")).toBe("The options were changed at 26 Nov, 00:12: what was recorded before 2026 follows those of then.");
  expect(formatSentence("changed at 2026-13-45T99:00:00Z.", "UTC")).toContain("2026-13-45");
});

describe("incomplete", () => {
  test("each reason that an edge can give has words and advice", () => {
    const reasons = ["ring_full", "max_size", "disk_full", "queue_error", "drop_oldest", "corruption", "undecodable", "no_longer_kept"];
    for (const reason of reasons) {
      expect(t.incomplete.reason[reason], reason).toMatch(/\.$/);
      expect(t.incomplete.advice[reason], reason).toMatch(/\.$/);
    }
  });

  const NOW = Date.parse("2026-11-22T13:25:00Z");
  const edge = (change: Partial<EdgeAccount>): EdgeAccount => ({
    edge: "7c9e6679f4a1b2c3", name: "fra-1", version: "0.1.0", captured: 10, stored: 10, queued: 0, dropped: 0,
    rejected: 0, lost: 0, lag_ms: 100, clock_skew_ms: 0, last_seen: "2026-11-22T13:24:50Z", ...change,
  });
  test.each<[string, Partial<EdgeAccount>, string[]]>([
    ["a healthy edge", {}, []],
    ["an edge that catches up", { lag_ms: 252_000 }, ["lagging"]],
    ["one that has caught up and is idle", { lag_ms: 252_000, last_seen: "2026-11-22T12:00:00Z" }, []],
    ["one that owes events and is gone", { queued: 7, last_seen: "2026-11-22T10:00:00Z" }, ["silent"]],
    ["one without traffic at night", { last_seen: "2026-11-22T02:00:00Z" }, []],
    ["a fast clock", { clock_skew_ms: 180_000 }, ["fast"]],
    ["a slow clock that lags", { clock_skew_ms: -180_000, lag_ms: 20_000, last_seen: null }, ["lagging", "slow"]],
    ["nothing known", { lag_ms: null, clock_skew_ms: null, last_seen: null }, []],
  ])("%s", (_, change, kinds) => {
    expect(edgeTroubles([edge(change)], NOW).map((trouble) => trouble.kind)).toEqual(kinds);
  });
});

test("the spoken summary says no 0 where nobody knows", () => {
  expect(t.live.announce("12", "30")).toBe("12 visitors, 30 page views");
  expect(t.live.announce(null, "30")).toBe("visitors not known, 30 page views");
});
