// What uPlot draws: series, axes and colours of the chart. The x axis counts
// buckets, not seconds: months of unequal length and days of 23 hours stand
// evenly, and no zone but the site's is ever involved.

import uPlot from "uplot";
import type { Bucket } from "../../time/buckets";
import type { Interval } from "../../time/period";
import { formatAxis, formatTick } from "../../text/format";

export const SERIES = ["visitors", "pageviews"] as const;
export type SeriesName = (typeof SERIES)[number];
export type Shown = Record<SeriesName, boolean>;

/** Drawn is what the chart and its table show alike. */
export interface Drawn {
  buckets: readonly Bucket[];
  interval: Interval;
  /** All buckets are of one day, so that only their hours tell them apart. */
  oneDay: boolean;
  /** Buckets, by index, in which identities began anew: visitors before and after were told apart by other keys. */
  marks: ReadonlySet<number>;
  shown: Shown;
}

/**
 * plotData is x, then each series twice: what is complete as a solid line, and
 * the step into the bucket that still grows as a dashed one.
 */
export function plotData(buckets: readonly Bucket[]): uPlot.AlignedData {
  const x = buckets.map((_, i) => i);
  const columns: (number | null)[][] = [];
  for (const name of SERIES) {
    columns.push(buckets.map((bucket) => (bucket.partial ? null : bucket[name])));
    columns.push(
      buckets.map((bucket, i) => (bucket.partial || buckets[i + 1]?.partial ? bucket[name] : null)),
    );
  }
  return [x, ...columns] as uPlot.AlignedData;
}

/** knownOf says which series has a number in any bucket, as both have where there is no bucket. */
export function knownOf(buckets: readonly Bucket[]): Shown {
  const known = (name: SeriesName) => buckets.every((bucket) => bucket.future) || buckets.some((bucket) => bucket[name] !== null);
  return { visitors: known("visitors"), pageviews: known("pageviews") };
}

/** lone finds what no line reaches: numbers between two that are not known. */
export function lone(solid: readonly (number | null | undefined)[], dashed: readonly (number | null | undefined)[]): number[] {
  const known = (i: number) => (solid[i] ?? dashed[i] ?? null) !== null;
  return solid.flatMap((value, i) => ((value ?? null) !== null && !known(i - 1) && !known(i + 1) ? [i] : []));
}

/** niceTop is the end of the y axis and its step: 1, 2 or 5 times a power of ten, never a fraction. */
export function niceTop(largest: number, lines = 4): { top: number; step: number } {
  const rough = Math.max(1, largest) / lines;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power);
  const whole = Number.isInteger(step) ? step : Math.ceil(step);
  return { top: whole * Math.max(1, Math.ceil(Math.max(1, largest) / whole)), step: whole };
}

/** tickEvery keeps labels apart and on round hours. */
export function tickEvery(count: number, fit: number, interval: Interval): number {
  const steps = interval === "hour" ? [1, 2, 3, 4, 6, 12, 24, 48] : [1, 2, 3, 5, 7, 10, 14, 21, 30, 60, 91, 182, 365];
  return steps.find((step) => Math.ceil(count / step) <= fit) ?? Math.ceil(count / fit);
}

interface Colours {
  visitors: string;
  visitorsFill: string;
  visitorsFaint: string;
  pageviews: string;
  grid: string;
  mark: string;
  label: string;
  sheet: string;
  font: string;
  /** Of the font, in pixels. */
  size: number;
}

function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const get = (name: string) => style.getPropertyValue(name).trim();
  const size = Number.parseFloat(get("--chart-font")) || 12;
  return {
    visitors: get("--accent"),
    visitorsFill: get("--chart-fill"),
    visitorsFaint: get("--chart-faint"),
    pageviews: get("--second"),
    grid: get("--line"),
    mark: get("--warn-ink"),
    label: get("--ink-3"),
    sheet: get("--sheet"),
    font: `${size}px ${style.fontFamily}`,
    size,
  };
}

export interface PlotInput extends Drawn {
  onCursor: (index: number | null) => void;
}

/** plotOptions reads the page's colours, so it is called again when they change. */
export function plotOptions(element: HTMLElement, input: PlotInput): uPlot.Options {
  const { buckets, shown } = input;
  const colours = coloursOf(element);
  const last = Math.max(1, buckets.length - 1);
  const partial = buckets.findIndex((bucket) => bucket.partial);
  const single = buckets.length === 1;
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    // To the right there is room for half a label.
    padding: [12, 24, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      // The line stands on a bucket, not between two.
      move: (plot, left, top) => (left < 0 ? [left, top] : [plot.valToPos(plot.posToIdx(left), "x"), top]),
      points: { size: 9, width: 2, fill: (_, i) => (i < 3 ? colours.visitors : colours.pageviews), stroke: () => colours.sheet },
    },
    scales: {
      x: { time: false, range: () => (single ? [-1, 1] : [0, last]) },
      y: { range: (_, __, max) => [0, niceTop(max ?? 0).top] },
    },
    axes: [xAxis(input, colours), yAxis(colours)],
    series: [
      {},
      ...seriesPair(colours.visitors, shown.visitors, partial, single, colours, 2.25, colours.visitorsFill),
      ...seriesPair(colours.pageviews, shown.pageviews, partial, single, colours, 1.75),
    ],
    hooks: {
      setCursor: [(plot) => input.onCursor(plot.cursor.idx ?? null)],
      drawAxes: [(plot) => drawMarks(plot, input.marks, colours.mark)],
    },
  };
}

function drawMarks({ ctx, bbox, valToPos }: uPlot, marks: ReadonlySet<number>, colour: string): void {
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = uPlot.pxRatio;
  ctx.setLineDash([2 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
  for (const index of marks) {
    const x = Math.round(valToPos(index, "x", true)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function seriesPair(
  stroke: string,
  show: boolean,
  partial: number,
  single: boolean,
  colours: Colours,
  width: number,
  fill?: string,
): uPlot.Series[] {
  const paths = uPlot.paths.spline?.();
  const base: uPlot.Series = { stroke, width, show, spanGaps: false, ...(paths ? { paths } : {}) };
  return [
    { ...base, points: { show: true, size: single ? 9 : 6, fill: stroke, filter: loneOf }, ...(fill ? { fill } : {}) },
    {
      ...base,
      dash: [3, 5],
      ...(fill ? { fill: colours.visitorsFaint } : {}),
      // A ring marks the bucket whose numbers still grow.
      points: { show: true, size: 8, width: 2, stroke, fill: colours.sheet, filter: () => (partial < 0 ? [] : [partial]) },
    },
  ];
}

function loneOf({ data }: uPlot, series: number): number[] {
  return lone([...(data[series] ?? [])], [...(data[series + 1] ?? [])]);
}

function xAxis({ buckets, interval, oneDay }: Drawn, colours: Colours): uPlot.Axis {
  return {
    stroke: colours.label,
    font: colours.font,
    size: 22 + colours.size,
    gap: 10,
    grid: { show: false },
    ticks: { show: false },
    splits: (plot) => {
      const fit = Math.max(2, Math.floor(plot.width / (7 * colours.size)));
      const every = !oneDay && interval === "hour" ? 24 * tickEvery(Math.ceil(buckets.length / 24), fit, "day") : tickEvery(buckets.length, fit, interval);
      return buckets.flatMap((_, i) => (i % every === 0 ? [i] : []));
    },
    values: (_, splits) => splits.map((i) => (buckets[i] ? formatTick(buckets[i].date, interval, oneDay) : "")),
  };
}

function yAxis(colours: Colours): uPlot.Axis {
  return {
    stroke: colours.label,
    font: colours.font,
    size: (_, values) => 14 + 0.62 * colours.size * Math.max(2, ...(values ?? []).map((value) => value.length)),
    gap: 10,
    ticks: { show: false },
    grid: { stroke: colours.grid, width: 1 },
    splits: (_, __, ___, max) => {
      const { step } = niceTop(max);
      return Array.from({ length: Math.round(max / step) + 1 }, (_unused, i) => i * step);
    },
    values: (_, splits) => splits.map(formatAxis),
  };
}
