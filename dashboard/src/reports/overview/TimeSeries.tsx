// The chart with its controls: which series, which interval, chart or table.

import { useMemo, useState } from "preact/hooks";
import { sentencesOn } from "../../api/caveat";
import type { Overview } from "../../api/feed";
import type { ChartForm } from "../../state/view";
import { fillBuckets, marksOf } from "../../time/buckets";
import { localClock } from "../../time/civil";
import { type DateRange, type Interval, intervalsFor } from "../../time/period";
import { t } from "../../text/en";
import { Segments } from "../../ui/Segments";
import { Why } from "../../ui/Why";
import { Chart } from "./Chart";
import { ChartTable } from "./ChartTable";
import { type Drawn, knownOf, SERIES, type SeriesName, type Shown } from "./plot";

interface Props {
  overview: Overview | null;
  range: DateRange | null;
  /** How many days the period has; null where only the server knows. */
  days: number | null;
  /** The site's zone, and its wall clock. */
  zone: string;
  now: string;
  interval: Interval;
  form: ChartForm;
  dark: boolean;
  onInterval: (interval: Interval) => void;
  onForm: (form: ChartForm) => void;
}

export function TimeSeries(props: Props) {
  const { overview, range, zone, now, form, dark } = props;
  const [shown, setShown] = useState<Shown>({ visitors: true, pageviews: true });
  const minute = now.slice(0, 16);
  const buckets = useMemo(
    () => (overview ? fillBuckets(overview.series, overview.question.interval, range, minute) : []),
    [overview?.series, overview?.question, range?.from, range?.to, minute],
  );
  const interval = overview?.question.interval ?? props.interval;
  const changes = overview?.accounting?.identity_changed;
  const marks = useMemo(() => marksOf(buckets, localTimes(changes ?? [], zone), interval), [buckets, changes, zone, interval]);
  const oneDay = buckets.every((bucket) => bucket.date.slice(0, 10) === buckets[0]?.date.slice(0, 10));
  const drawn: Drawn = { buckets, interval, oneDay, marks, shown };
  const nothing = overview?.main.pageviews === 0;
  const why = overview ? sentencesOn(overview.caveats.series, SERIES, overview.main.meta?.caveats ?? []) : [];

  const intervals = intervalsFor(props.days);

  return (
    <section class="time-series" aria-label={t.chart.label}>
      <div class="chart-bar">
        <Legend shown={shown} known={knownOf(buckets)} onShow={setShown} />
        {intervals.length > 1 && (
          <Segments
            class="quiet interval"
            name="interval"
            label={t.interval.label}
            value={props.interval}
            options={intervals.map((value) => ({ value, text: t.interval[value] }))}
            onChoose={props.onInterval}
          />
        )}
        <Segments
          class="quiet"
          name="form"
          label={t.chart.form}
          value={form}
          options={[
            { value: "chart", text: t.chart.chart },
            { value: "table", text: t.chart.table },
          ]}
          onChoose={props.onForm}
        />
      </div>
      <div class="chart-box">
        {!overview && <div class="chart-skeleton" aria-hidden="true" />}
        {overview && form === "chart" && <Chart {...drawn} dark={dark} />}
        {overview && form === "table" && <ChartTable {...drawn} />}
        {nothing && form === "chart" && (
          <p class="chart-nothing">
            <strong>{t.chart.nothing}</strong>
            {!range || range.to >= now.slice(0, 10) ? t.chart.nothingYet : t.chart.nothingHint}
          </p>
        )}
      </div>
      <Why id="chart-why" of={t.chart.label} sentences={why} />
    </section>
  );
}

interface LegendProps {
  shown: Shown;
  known: Shown;
  onShow: (shown: Shown) => void;
}

/** Legend names the series and switches them on and off. */
function Legend({ shown, known, onShow }: LegendProps) {
  const toggle = (name: SeriesName) => {
    const next = { ...shown, [name]: !shown[name] };
    // One of them always stays: an empty chart answers nothing.
    if (SERIES.some((one) => next[one] && known[one])) onShow(next);
  };
  return (
    <div class="legend">
      {SERIES.map((name) => (
        <button
          key={name}
          type="button"
          class={`key ${name}`}
          aria-pressed={shown[name] && known[name]}
          disabled={!known[name]}
          title={known[name] ? t.chart.show(t.numbers[name]) : t.unknown.of(t.numbers[name])}
          onClick={() => toggle(name)}
        >
          {t.numbers[name]}
        </button>
      ))}
    </div>
  );
}

function localTimes(moments: readonly string[], zone: string): string[] {
  return moments.map((moment) => new Date(moment)).flatMap((at) => (Number.isNaN(at.getTime()) ? [] : [localClock(at, zone)]));
}
