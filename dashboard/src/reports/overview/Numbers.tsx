// The four numbers, each against the previous period.

import type { MainStats, Totals } from "../../api/types";
import { type Change, type ChangeKind, computeChange } from "../../text/change";
import { t } from "../../text/en";
import { formatCount, formatDuration, formatInteger, formatPercent, formatTenths } from "../../text/format";
import { Arrow } from "../../ui/icons";
import { useTween } from "../../ui/useTween";

interface Metric {
  key: keyof Totals;
  label: string;
  hint: string;
  kind: ChangeKind;
  moreIsBetter: boolean;
  format: (value: number) => string;
}

const METRICS: readonly Metric[] = [
  { key: "visitors", label: t.numbers.visitors, hint: t.numbers.hint.visitors, kind: "relative", moreIsBetter: true, format: formatCount },
  { key: "pageviews", label: t.numbers.pageviews, hint: t.numbers.hint.pageviews, kind: "relative", moreIsBetter: true, format: formatCount },
  { key: "bounce_rate", label: t.numbers.bounceRate, hint: t.numbers.hint.bounceRate, kind: "points", moreIsBetter: false, format: formatPercent },
  { key: "visit_duration", label: t.numbers.visitDuration, hint: t.numbers.hint.visitDuration, kind: "relative", moreIsBetter: true, format: formatDuration },
];

interface Props {
  main: MainStats | null;
  /** What the comparison covers, in words; null = there is none. */
  compared: string | null;
  /** The period is a day that has not ended: its sums can't be held against a whole one. */
  running: boolean;
}

export function Numbers(props: Props) {
  return (
    <section class="numbers" aria-label={t.numbers.label}>
      {METRICS.map((metric) => (
        <NumberCell key={metric.key} metric={metric} {...props} />
      ))}
    </section>
  );
}

function NumberCell({ metric, main, compared, running }: Props & { metric: Metric }) {
  const value = main ? main[metric.key] : null;
  const previous = main?.comparison?.[metric.key] ?? null;
  const sum = metric.key === "visitors" || metric.key === "pageviews";
  const shown = useTween(value);
  const note = main && noteOf(metric.key, main);
  const why = main?.meta?.caveats.some((caveat) => caveat.affects.includes(metric.key)) ? t.unknown.spoken : t.numbers.unknownHint;
  return (
    <div class="number" data-metric={metric.key}>
      <h2 title={metric.hint}>{metric.label}</h2>
      {main ? (
        <p class={`value ${value === null ? "unknown" : ""}`} title={valueTitle(value, why)}>
          <span aria-hidden="true">{shown === null || value === null ? t.unknown.sign : <Figure text={metric.format(shown)} />}</span>
          <span class="hidden">{value === null ? why : metric.format(value)}</span>
        </p>
      ) : (
        <p class="value skeleton-text" aria-hidden="true" />
      )}
      <p class="below">
        {compared && value !== null && previous !== null && previous > 0 && running && sum && <span class="note">{t.numbers.yesterday(metric.format(previous))}</span>}
        {compared && previous !== null && !(running && sum) && <ChangeMark metric={metric} current={value} previous={previous} range={compared} />}
        {note && <span class="note">{note}</span>}
      </p>
    </div>
  );
}

/** Figure sets the digits large and what stands between and behind them small. */
function Figure({ text }: { text: string }) {
  const parts = text.match(/[\d.,\u00a0\u202f]+|[^\d]+/gu) ?? [];
  return <>{parts.map((part, i) => (/\d/.test(part) ? part : <small key={i}>{part.trim()}</small>))}</>;
}

function valueTitle(value: number | null, why: string): string | undefined {
  if (value === null) return why;
  return value >= 1_000_000 ? formatInteger(value) : undefined;
}

/** The two lesser numbers stand below the ones they belong to. */
function noteOf(key: keyof Totals, main: MainStats): string | null {
  if (main.pageviews === 0) return null;
  if (key === "visitors" && main.visits !== null) return t.numbers.visits(formatCount(main.visits), main.visits === 1);
  if (key === "pageviews" && main.views_per_visit !== null) return t.numbers.viewsPerVisit(formatTenths(main.views_per_visit));
  return null;
}

interface ChangeProps {
  metric: Metric;
  current: number | null;
  previous: number;
  range: string;
}

function ChangeMark({ metric, current, previous, range }: ChangeProps) {
  const change = computeChange(current, previous, metric.kind, metric.moreIsBetter);
  if (!change) return null;
  const amount = amountText(change, metric.kind);
  const words = { up: t.numbers.change.up(amount), down: t.numbers.change.down(amount), same: t.numbers.change.same };
  return (
    <span class={`change ${change.mood}`} title={t.numbers.was(metric.format(previous), range)}>
      {change.direction !== "same" && <Arrow down={change.direction === "down"} />}
      <span aria-hidden="true">{change.direction === "same" ? "±0" : amount}</span>
      <span class="hidden">{words[change.direction]}</span>
    </span>
  );
}

function amountText(change: Change, kind: ChangeKind): string {
  const size = Math.abs(change.amount);
  return kind === "points" ? t.numbers.change.points(Math.round(size * 100)) : formatPercent(size);
}
