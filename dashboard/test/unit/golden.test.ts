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
  decodeSites,
  ShapeError,
} from "../../src/api/types";

const FIXTURES = join(import.meta.dirname, "..", "..", "fixtures");
/** What the aggregator's own tests hold its answers to. */
const GOLDEN = join(import.meta.dirname, "..", "..", "..", "aggregator", "api", "testdata", "golden");

const DECODERS: [RegExp, Decoder<unknown>][] = [
  [/(^|[/_.-])sites/, decodeSites],
  [/(^|[/_.-])main/, decodeMain],
  [/timeseries/, decodeSeries],
  [/breakdown/, decodeBreakdown],
  [/realtime/, decodeRealtime],
  [/accounting/, decodeAccounting],
];

/** Administration's answers, which programs ask for and the page does not. */
const NOT_ASKED = /^(site|sites-unknown)\.json$/;

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
  const names = answersIn(GOLDEN).filter((name) => !NOT_ASKED.test(name));
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
