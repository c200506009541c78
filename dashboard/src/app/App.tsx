// The page: what the address bar asks for, put together.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure } from "../api/client";
import type { Site } from "../api/types";
import { useKeysEnabled, useShortcuts } from "../state/keys";
import { useClock, useSites, useView } from "../state/hooks";
import { useTheme } from "../state/theme";
import { addDays, localClock } from "../time/civil";
import { type Period, step } from "../time/period";
import { UnknownHosts } from "../reports/hosts/UnknownHosts";
import { Live } from "../reports/realtime/Live";
import { t } from "../text/en";
import { siteName } from "../text/outside";
import { Duck } from "../ui/Duck";
import { KeysDialog } from "./KeysDialog";
import { type Dashboard, Overview, useDashboard } from "./Overview";
import { PeriodPicker } from "./PeriodPicker";
import { findSite } from "./sites";
import { ThemeButton } from "./ThemeButton";
import { TroublePage, UnknownSite } from "./Trouble";
import { Waiting } from "./Waiting";

export function App() {
  const [view, change] = useView();
  const { value: sites, failure, refresh } = useSites();
  const { theme, dark, choose } = useTheme();
  const [keysOpen, setKeysOpen] = useState(false);
  const [datesOpen, setDatesOpen] = useState(false);
  const [keysEnabled, setKeysEnabled] = useKeysEnabled();

  const shown = useRef<string | null>(null);
  const site = sites ? findSite(sites, view.site, shown.current) : null;
  if (site && view.site === null) shown.current = site.site_id;
  const clock = useClock();
  const zone = site?.time_zone ?? "UTC";
  const now = localClock(clock, zone);
  const today = now.slice(0, 10);
  const dashboard = useDashboard(site, view, today);

  useEffect(() => {
    document.title = site ? t.title(siteName(site)) : t.product;
  }, [site]);

  const choosePeriod = (period: Period) => change({ period, interval: null });
  const go = (direction: -1 | 1) => {
    const next = step(view.period, today, direction);
    if (next) choosePeriod(next);
  };
  useShortcuts(
    {
      d: () => choosePeriod({ kind: "today" }),
      e: () => choosePeriod({ kind: "day", date: addDays(today, -1) }),
      w: () => choosePeriod({ kind: "7d" }),
      m: () => choosePeriod({ kind: "30d" }),
      q: () => choosePeriod({ kind: "90d" }),
      y: () => choosePeriod({ kind: "12mo" }),
      a: () => choosePeriod({ kind: "all" }),
      c: () => setDatesOpen(true),
      t: () => change({ form: view.form === "chart" ? "table" : "chart" }),
      ArrowLeft: () => go(-1),
      ArrowRight: () => go(1),
      "?": () => setKeysOpen(true),
    },
    keysEnabled,
  );

  const chooseSite = (id: string) => change({ site: id });
  const waiting = site !== null && dashboard.feed.overview?.everSeen === false;
  return (
    <>
      <a class="skip" href="#numbers">
        {t.skip}
      </a>
      <header class="top">
        <span class="brand">
          <Duck class="mark" />
          {t.product}
        </span>
        {site && <Live feed={dashboard.feed} />}
        {site && !waiting && (
          <PeriodPicker
            period={view.period}
            range={dashboard.range}
            today={today}
            open={datesOpen}
            onOpen={setDatesOpen}
            onChoose={choosePeriod}
          />
        )}
        <ThemeButton theme={theme} onChoose={choose} />
      </header>
      <main id="numbers">
        {site ? (
          <Overview site={site} sites={sites ?? []} view={view} dashboard={dashboard} now={now} dark={dark} onSite={chooseSite} onPeriod={choosePeriod} onView={change} />
        ) : (
          <NoSite sites={sites} failure={failure} wanted={view.site} onSite={chooseSite} />
        )}
        {sites && <UnknownHosts zone={zone} onAdded={refresh} onSite={chooseSite} />}
      </main>
      <footer class="bottom">
        <span>{t.footer.counted}</span>
        {site && <span>{t.period.zone(zone.replaceAll("_", " "))}</span>}
        <button type="button" onClick={() => setKeysOpen(true)}>
          {t.keys.open} <kbd>?</kbd>
        </button>
      </footer>
      <KeysDialog open={keysOpen} enabled={keysEnabled} onEnabled={setKeysEnabled} onClose={() => setKeysOpen(false)} />
      <Announcer dashboard={dashboard} />
    </>
  );
}

interface NoSiteProps {
  sites: Site[] | null;
  failure: Failure | null;
  wanted: string | null;
  onSite: (id: string) => void;
}

function NoSite({ sites, failure, wanted, onSite }: NoSiteProps) {
  if (sites === null) return failure ? <TroublePage failure={failure} onRetry={() => location.reload()} /> : <LoadingPage />;
  if (sites.length > 0 && wanted !== null) return <UnknownSite wanted={wanted} sites={sites} onSite={onSite} />;
  return <Waiting site={null} />;
}

/** LoadingPage keeps the place of the headline, so that nothing jumps. */
function LoadingPage() {
  return <div class="headline loading" aria-busy="true" />;
}

/** How often a change may be spoken: numbers that grow each second must not drown everything else. */
const ANNOUNCE_MS = 30_000;

function Announcer({ dashboard }: { dashboard: Dashboard }) {
  const { overview, loading } = dashboard.feed;
  const [text, setText] = useState("");
  const [last, setLast] = useState({ at: 0, question: overview?.question });
  const message = dashboard.summary;
  useEffect(() => {
    if (!overview || loading || !message) return;
    const due = last.question !== overview.question ? 0 : last.at + ANNOUNCE_MS - Date.now();
    const timer = setTimeout(
      () => {
        setText(message);
        setLast({ at: Date.now(), question: overview.question });
      },
      Math.max(0, due),
    );
    return () => clearTimeout(timer);
  }, [message, overview?.question, loading]);
  return (
    <p class="hidden" role="status" aria-live="polite">
      {text}
    </p>
  );
}
