// The main chart: uPlot on a canvas, a tooltip that follows the pointer or the
// arrow keys, and an announcement for those who can't see either.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Bucket } from "../../time/buckets";
import type { Interval } from "../../time/period";
import { t } from "../../text/en";
import { formatBucket, formatInteger } from "../../text/format";
import { type Drawn, plotData, plotOptions, type PlotInput, SERIES, type SeriesName } from "./plot";

export function Chart({ dark, ...drawn }: Drawn & { dark: boolean }) {
  const { buckets, interval, oneDay, marks, shown } = drawn;
  const canvas = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<{ index: number; left: number } | null>(null);
  const [spoken, setSpoken] = useState("");

  // Anything but the numbers makes a new plot; new numbers only redraw it.
  const partial = buckets.findIndex((bucket) => bucket.partial);
  const shape = [interval, buckets.length, buckets[0]?.date, partial, shown.visitors, shown.pageviews, dark, ...marks].join();
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const onCursor: PlotInput["onCursor"] = (index) => {
      const current = plot.current;
      setCursor(index === null || !current || !buckets[index] ? null : { index, left: current.valToPos(index, "x") + current.bbox.left / devicePixelRatio });
    };
    const current = new uPlot(plotOptions(element, { ...drawn, onCursor }), plotData(buckets), element);
    plot.current = current;
    const resized = new ResizeObserver(() => {
      if (element.clientWidth > 0) current.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      current.destroy();
      plot.current = null;
      setCursor(null);
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(plotData(buckets));
  }, [buckets]);

  const moveTo = (index: number) => {
    const current = plot.current;
    const bucket = buckets[index];
    if (!current || !bucket) return;
    current.setCursor({ left: current.valToPos(index, "x"), top: 0 });
    setSpoken(describe(bucket, interval, oneDay, marks.has(index)));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const end = buckets.findLastIndex((bucket) => !bucket.future);
    const at = cursor?.index;
    const targets: Record<string, number> = {
      ArrowLeft: at === undefined ? end : Math.max(0, at - 1),
      ArrowRight: at === undefined ? 0 : Math.min(end, at + 1),
      Home: 0,
      End: end,
    };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    moveTo(target);
  };
  const hide = () => plot.current?.setCursor({ left: -10, top: -10 });
  const bucket = cursor ? buckets[cursor.index] : undefined;

  return (
    <div class="chart" role="group" aria-label={t.chart.label} aria-describedby="chart-help" tabIndex={0} data-arrows onKeyDown={onKeyDown} onBlur={hide}>
      <div class="plot" ref={canvas} aria-hidden="true" />
      {cursor && bucket && <Tooltip bucket={bucket} interval={interval} oneDay={oneDay} marked={marks.has(cursor.index)} left={cursor.left} flip={cursor.index > buckets.length / 2} />}
      <p class="hidden" id="chart-help">
        {t.chart.help}
      </p>
      <p class="hidden" aria-live="polite">
        {spoken}
      </p>
    </div>
  );
}

interface TooltipProps {
  bucket: Bucket;
  interval: Interval;
  oneDay: boolean;
  marked: boolean;
  left: number;
  flip: boolean;
}

function Tooltip({ bucket, interval, oneDay, marked, left, flip }: TooltipProps) {
  return (
    <div class={`tooltip ${flip ? "flip" : ""}`} style={{ left: `${left}px` }} aria-hidden="true">
      <p class="tooltip-when">
        {formatBucket(bucket.date, interval, oneDay)}
        {bucket.partial && <em> {t.chart.partial}</em>}
      </p>
      <dl>
        {SERIES.map((name) => (
          <div key={name} class={`key ${name}`}>
            <dt>{t.numbers[name]}</dt>
            <dd>{valueText(bucket, name, t.unknown.sign)}</dd>
          </div>
        ))}
      </dl>
      {marked && <p class="marked">{t.chart.marked}</p>}
    </div>
  );
}

function valueText(bucket: Bucket, name: SeriesName, unknown: string): string {
  const value = bucket[name];
  if (value !== null) return formatInteger(value);
  return bucket.future ? t.chart.future : unknown;
}

function describe(bucket: Bucket, interval: Interval, oneDay: boolean, marked: boolean): string {
  const when = formatBucket(bucket.date, interval, oneDay);
  const values = SERIES.map((name) => `${t.numbers[name]} ${valueText(bucket, name, t.unknown.spoken)}`);
  return `${[when, ...values].join(", ")}${bucket.partial ? ` ${t.chart.partial}` : ""}${marked ? `. ${t.chart.marked}` : ""}`;
}
