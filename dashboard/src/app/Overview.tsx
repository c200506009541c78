// The overview of one site: headline, notices, numbers, chart, six tables, all
// traffic.

import { useEffect, useMemo, useState } from "preact/hooks";
import type { FeedState, Limits } from "../api/feed";
import type { Question } from "../api/requests";
import { type Dimension, DIMENSIONS, type Site } from "../api/types";
import { useFeed } from "../state/hooks";
import type { View } from "../state/view";
import { daysBetween } from "../time/civil";
import { chooseInterval, type DateRange, type Interval, type Period, previousRange, rangeOf, step } from "../time/period";
import { Breakdown } from "../reports/breakdown/Breakdown";
import { limitFor, ROWS } from "../reports/breakdown/Ranking";
import { Notices } from "../reports/accounting/Notices";
import { Caveats } from "../reports/overview/Caveats";
import { Numbers } from "../reports/overview/Numbers";
import { TimeSeries } from "../reports/overview/TimeSeries";
import { Traffic } from "../reports/traffic/Traffic";
import { t } from "../text/en";
import { formatClock, formatInteger, formatRangeShort } from "../text/format";
import { Headline } from "./Headline";
import { TroubleNotice, TroublePage } from "./Trouble";
import { Waiting } from "./Waiting";

export interface Dashboard {
  feed: FeedState;
  retry: () => void;
  range: DateRange | null;
  days: number | null;
  interval: Interval;
  shown: Limits;
  show: (dimension: Dimension, count: number) => void;
  /** The numbers in one sentence, for the live region. */
  summary: string;
}

const START = Object.fromEntries(DIMENSIONS.map((name) => [name, ROWS])) as Limits;

/** useDashboard turns site and view into a question and keeps it answered. */
export function useDashboard(site: Site | null, view: View, today: string): Dashboard {
  const [shown, setShown] = useState<Limits>(START);
  const [young, setYoung] = useState<string | null>(null);
  // The same period stays the same object, or each change of the view would ask again.
  const period = useMemo(() => view.period, [JSON.stringify(view.period)]);
  const range = useMemo(() => rangeOf(period, today), [period, today]);
  const days = range && daysBetween(range.from, range.to);
  const siteId = site?.site_id ?? null;
  // All of a young site is a few months: drawn by day, or there is no line.
  const wish = view.interval ?? (period.kind === "all" && young === siteId ? "day" : null);
  const interval = chooseInterval(wish, days);
  const question = useMemo<Question | null>(
    () => (siteId === null ? null : { siteId, period, interval }),
    [siteId, period, interval],
  );
  const limits = useMemo(() => Object.fromEntries(DIMENSIONS.map((name) => [name, limitFor(shown[name])])) as Limits, [shown]);
  const [feed, retry] = useFeed(question, limits);
  const { overview } = feed;

  useEffect(() => {
    if (!overview || overview.question.period.kind !== "all" || overview.question.interval !== "month") return;
    if (overview.series.length <= YOUNG_MONTHS) setYoung(overview.question.siteId);
  }, [overview]);

  const main = overview?.main;
  const summary =
    main && main.pageviews !== null
      ? t.live.announce(main.visitors === null ? null : formatInteger(main.visitors), formatInteger(main.pageviews))
      : "";
  const show = (dimension: Dimension, count: number) => setShown((old) => ({ ...old, [dimension]: count }));
  return { feed, retry, range, days, interval, shown, show, summary };
}

const YOUNG_MONTHS = 3;

interface Props {
  site: Site;
  sites: readonly Site[];
  view: View;
  dashboard: Dashboard;
  /** The site's wall clock. */
  now: string;
  dark: boolean;
  onSite: (id: string) => void;
  onPeriod: (period: Period) => void;
  onView: (change: Partial<View>) => void;
}

export function Overview(props: Props) {
  const { site, sites, view, dashboard, now } = props;
  const { feed, range } = dashboard;
  const today = now.slice(0, 10);
  const headline = (
    <Headline
      site={site}
      sites={sites}
      period={view.period}
      range={range}
      earlier={step(view.period, today, -1)}
      later={step(view.period, today, 1)}
      bare={feed.overview?.everSeen === false}
      onSite={props.onSite}
      onPeriod={props.onPeriod}
    />
  );
  if (feed.failure && !feed.overview) {
    return (
      <>
        {headline}
        <TroublePage failure={feed.failure} onRetry={dashboard.retry} />
      </>
    );
  }
  if (feed.overview?.everSeen === false) {
    return (
      <>
        {headline}
        <Waiting site={site} />
      </>
    );
  }
  return (
    <>
      {headline}
      {feed.failure && <TroubleNotice failure={feed.failure} onRetry={dashboard.retry} since={t.failure.asOf(formatClock(feed.confirmedAt))} />}
      <Reports {...props} />
    </>
  );
}

function Reports({ site, view, dashboard, now, dark, onView }: Props) {
  const { feed, range, days, shown } = dashboard;
  const { overview } = feed;
  const stale = feed.loading && overview !== null;
  // Numbers of an earlier question keep their own range until the new ones are there.
  const rangeShown = overview ? rangeOf(overview.question.period, now.slice(0, 10)) : range;
  const said = overview?.main.meta?.caveats ?? [];
  const compared = rangeShown && formatRangeShort(previousRange(rangeShown));
  return (
    <div class={`reports ${stale ? "stale" : ""}`} aria-busy={feed.loading}>
      <Notices accounting={overview?.accounting ?? null} zone={site.time_zone} now={Date.now()} />
      <div class="sheet overview">
        <Numbers main={overview?.main ?? null} compared={compared} running={overview?.question.period.kind === "today"} />
        <Caveats meta={overview?.main.meta ?? null} zone={site.time_zone} />
        <TimeSeries
          overview={overview}
          range={rangeShown}
          days={days}
          zone={site.time_zone}
          now={now}
          interval={dashboard.interval}
          form={view.form}
          dark={dark}
          onInterval={(interval) => onView({ interval })}
          onForm={(form) => onView({ form })}
        />
      </div>
      <div class="breakdowns">
        {DIMENSIONS.map((dimension) => (
          <Breakdown
            key={dimension}
            dimension={dimension}
            rows={overview?.tables[dimension] ?? null}
            caveats={overview?.caveats[dimension] ?? []}
            said={said}
            shown={shown[dimension]}
            onShow={(count) => dashboard.show(dimension, count)}
          />
        ))}
      </div>
      <Traffic
        question={overview?.question ?? null}
        accounting={overview?.accounting ?? null}
        said={said}
        loading={overview === null}
        tab={view.traffic}
        onTab={(traffic) => onView({ traffic })}
      />
    </div>
  );
}
