import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Failure } from "../../src/api/client";
import type { Site } from "../../src/api/types";
import { findSite } from "../../src/app/sites";
import { refusalText } from "../../src/reports/hosts/refusal";
import { GROUPS, groupSums, resultRows } from "../../src/reports/traffic/results";
import { botReason } from "../../src/reports/traffic/words";
import { t } from "../../src/text/en";
import { formatShare } from "../../src/text/format";

const ROOT = join(import.meta.dirname, "..", "..", "..");

/** The proxy's own lists, so that a new entry without a word fails here. */
function goStrings(file: string, pattern: RegExp): string[] {
  const path = join(ROOT, file);
  if (!existsSync(path)) throw new Error(`${file} is not there`);
  return [...readFileSync(path, "utf8").matchAll(pattern)].map((match) => match[1] ?? "");
}

describe("results", () => {
  const known = goStrings("shared/observation.go", /^\tResult\w+ +(?:Result )?= "(\w+)"/gm);
  test("are read out of the proxy's list", () => expect(known.length).toBe(23));
  test.each(known)("%s has a name and a plain sentence", (result) => {
    expect(t.traffic.result[result]).toMatch(/^[A-Z]/);
    expect(t.traffic.meaning[result]).toMatch(/\.$/);
  });
  test("there is no word for what is no result", () => {
    expect(Object.keys(t.traffic.result).sort()).toEqual([...known].sort());
    expect(Object.keys(t.traffic.meaning).sort()).toEqual([...known].sort());
  });

  test("the most frequent come first, zeros not at all, and what is not known is kept", () => {
    const rows = resultRows(new Map([["bot", 2], ["feed", 0], ["tomorrow", 5], ["asset", 2]]));
    expect(rows).toEqual([
      { result: "tomorrow", group: "other", requests: 5 },
      { result: "asset", group: "parts", requests: 2 },
      { result: "bot", group: "bots", requests: 2 },
    ]);
  });
  test("groups sum to the requests", () => {
    const all = new Map(known.map((result, i) => [result, i + 1]));
    const sums = groupSums(all.set("constructor", 7));
    expect(sums.map((sum) => sum.group)).toEqual([...GROUPS]);
    expect(sums.reduce((sum, group) => sum + group.requests, 0)).toBe([...all.values()].reduce((a, b) => a + b, 0));
    for (const sum of sums) expect(sum.requests, sum.group).toBeGreaterThan(0);
  });
});

describe("shares", () => {
  test.each([
    [0, 0, "0%"],
    [0, 10, "0%"],
    [1, 1000, "< 1%"],
    [1, 100, "1%"],
    [1, 3, "33%"],
    [999, 1000, "> 99%"],
    [5, 5, "100%"],
  ])("%i of %i is %s", (part, whole, text) => expect(formatShare(part, whole)).toBe(text));
});

describe("what gave a bot away", () => {
  const reasons = goStrings("shared/enrich/bot.go", /^\tReason\w+ += "(\w+)"/gm).filter((reason) => reason !== "browser" && reason !== "assets");
  test("is read out of the proxy's list", () => expect(reasons.length).toBeGreaterThan(8));
  test.each(reasons)("%s has words", (reason) => expect(botReason(reason)).toMatch(/^[A-Z]/));
  test("soft signs are joined", () => expect(botReason("no_language+old_version")).toBe("No language, Very old browser"));
  test.each(["Googlebot", "", "no_language+Googlebot", "constructor"])("%j is a name, no reason", (name) => expect(botReason(name)).toBe(undefined));
});

describe("a refusal to add a host", () => {
  const refused = (code: string, message = "no") => new Failure("refused", message, 400, code);
  test.each<[string, string, unknown, RegExp]>([
    ["says where to", "a.example", refused("unauthorized"), /“eider site add a\.example”/],
    ["says where to", "bücher.example", refused("forbidden"), /“eider site add bücher\.example”/],
    ["has no foreign text in a command", "$(reboot).example", refused("unauthorized"), /“eider site add HOST”/],
    ["has no option in a command", "--help", refused("unauthorized"), /“eider site add HOST”/],
    ["knows what is there", "a.example", refused("site_exists"), /^a\.example is a name/],
    ["hands on the reason", "a b", refused("invalid", "that is no host name"), /^a b was not added: that is no host name$/],
    ["asks for another try", "a.example", new Failure("offline", "x"), /does not answer/],
    ["hides nothing", "a.example", new TypeError("odd"), /odd/],
  ])("%s: %s", (_, host, error, says) => expect(refusalText(host, error)).toMatch(says));
});

describe("the site that is shown", () => {
  const site = (id: string, archived: boolean): Site => ({ site_id: id, uuid: `${id}-uuid`, domains: [`${id}.example`], name: id, time_zone: "UTC", archived });
  const sites = [site("attic", true), site("shop", false)];
  test("is the first in use", () => expect(findSite(sites, null)?.site_id).toBe("shop"));
  test("is an archived one where there is no other", () => expect(findSite(sites.slice(0, 1), null)?.site_id).toBe("attic"));
  test.each(["attic", "ATTIC.example", "attic-uuid"])("is the archived one that is asked for by %s", (name) => expect(findSite(sites, name)?.site_id).toBe("attic"));
  test("stays, whatever comes before it in the list", () => {
    const more = [site("blog", false), ...sites];
    expect(findSite(more, null, "shop")?.site_id).toBe("shop");
    expect(findSite(more, null, "gone")?.site_id).toBe("blog");
    expect(findSite(more, "attic", "shop")?.site_id).toBe("attic");
  });
  test("is none that there is not", () => expect(findSite(sites, "x")).toBe(null));
});
