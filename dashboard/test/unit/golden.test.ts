import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  decodeAccounting,
  decodeBreakdown,
  decodeMain,
  type Decoder,
  decodeRealtime,
  decodeSeries,
  decodeSite,
  decodeSites,
  decodeUnknownHosts,
  ShapeError,
  TRAFFIC_TABLES,
} from "../../src/api/types";

const FIXTURES = join(import.meta.dirname, "..", "..", "fixtures");
/** What the aggregator's own tests hold its answers to. */
const GOLDEN = join(import.meta.dirname, "..", "..", "..", "aggregator", "api", "testdata", "golden");

/** Those of them that the page asks for; the others are for other clients. */
const ASKED = /^(accounting|breakdown|error|main|realtime|sites?|timeseries)\b/;

const DECODERS: [RegExp, Decoder<unknown>][] = [
  [/(^|[/_.-])sites-unknown\.json$/, decodeUnknownHosts],
  [/(^|[/_.-])sites\.json$/, decodeSites],
  [/(^|[/_.-])site\.json$/, decodeSite],
  [/(^|[/_.-])main/, decodeMain],
  [/timeseries/, decodeSeries],
  [/breakdown|traffic/, decodeBreakdown],
  [/realtime/, decodeRealtime],
  [/accounting/, decodeAccounting],
];

function answersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".json"));
}

const read = (folder: string, name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));

function decoderOf(name: string): Decoder<unknown> | undefined {
  return DECODERS.find(([pattern]) => pattern.test(name))?.[1];
}

describe("the fixtures", () => {
  const names = answersIn(FIXTURES);
  test("are all there", () => expect(names.length).toBeGreaterThan(80));
  test.each(names)("%s has the agreed shape", (name) => {
    expect(decoderOf(name)?.(read(FIXTURES, name), name)).toBeDefined();
  });
});

describe.runIf(existsSync(GOLDEN))("the aggregator's own answers", () => {
  const names = answersIn(GOLDEN).filter((name) => ASKED.test(name));
  test("cover every question of the page", () => {
    for (const [pattern] of DECODERS) expect(names.some((name) => pattern.test(name)), String(pattern)).toBe(true);
  });
  test.each(names)("%s has the agreed shape", (name) => {
    const answer = read(GOLDEN, name);
    const decode = decoderOf(name);
    const refusal = typeof answer === "object" && answer !== null && "error" in answer;
    if (refusal || !decode) {
      expect(answer).toMatchObject({ error: { code: expect.any(String), message: expect.any(String) } });
      return;
    }
    expect(() => decode(answer, name)).not.toThrow(ShapeError);
  });
});

describe("the books close", () => {
  const files = [FIXTURES, GOLDEN].filter(existsSync).flatMap((folder) =>
    answersIn(folder)
      .filter((name) => name.includes("accounting"))
      .map((name): [string, string] => [folder, name]),
  );
  test("in more than one answer", () => expect(files.length).toBeGreaterThan(3));
  test.each(files)("%s/%s", (folder, name) => {
    const { requests, results, pageviews } = decodeAccounting(read(folder, name), name);
    expect([...results.values()].reduce((a, b) => a + b, 0)).toBe(requests ?? 0);
    const { recorded, activated, script_only, cached, reclassified, people } = pageviews;
    expect(recorded + activated + script_only + cached - reclassified).toBe(people);
  });
});

describe.runIf(existsSync(GOLDEN))("the tables of all traffic", () => {
  test.each(TRAFFIC_TABLES)("%s count rows", (table) => {
    const rows = decodeBreakdown(read(GOLDEN, `breakdown-${table}.json`), table);
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(row.events).toBeGreaterThan(0);
  });
});
