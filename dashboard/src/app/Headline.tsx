// The headline: whose numbers these are, and of which days.

import type { Site } from "../api/types";
import { type DateRange, type Period, previousRange } from "../time/period";
import { t } from "../text/en";
import { formatRange, formatRangeShort } from "../text/format";
import { siteName } from "../text/outside";
import { ChevronDown, ChevronLeft, ChevronRight } from "../ui/icons";

interface Props {
  site: Site;
  sites: readonly Site[];
  period: Period;
  range: DateRange | null;
  earlier: Period | null;
  later: Period | null;
  /** There is nothing to choose days of yet. */
  bare: boolean;
  onSite: (site: string) => void;
  onPeriod: (period: Period) => void;
}

export function Headline(props: Props) {
  const { site, sites, period, range, earlier, later, bare, onSite, onPeriod } = props;
  const name = siteName(site);
  const archived = sites.filter((one) => one.archived);
  return (
    <div class="headline">
      <h1>
        {sites.length > 1 ? (
          <label class="site-picker">
            <span class="site-name">{name}</span>
            <ChevronDown />
            <select aria-label={t.site.choose} value={site.site_id} onChange={(event) => onSite(event.currentTarget.value)}>
              <Options sites={sites.filter((one) => !one.archived)} />
              {archived.length > 0 && (
                <optgroup label={t.site.archived}>
                  <Options sites={archived} />
                </optgroup>
              )}
            </select>
          </label>
        ) : (
          <span class="site-name">{name}</span>
        )}
        {site.archived && (
          <span class="badge" title={t.site.archivedHint}>
            {t.site.archived}
          </span>
        )}
      </h1>
      {!bare && (
        <p class="when">
          {earlier && (
            <button type="button" class="step" aria-label={t.period.earlier} title={t.period.earlier} onClick={() => onPeriod(earlier)}>
              <ChevronLeft />
            </button>
          )}
          <span class="range">{range ? formatRange(range) : t.period[period.kind === "all" ? "all" : "today"].long}</span>
          {earlier && (
            <button type="button" class="step" aria-label={t.period.later} title={t.period.later} disabled={!later} onClick={() => later && onPeriod(later)}>
              <ChevronRight />
            </button>
          )}
          {range && <span class="compared">{t.period.compared(formatRangeShort(previousRange(range)))}</span>}
        </p>
      )}
    </div>
  );
}

function Options({ sites }: { sites: readonly Site[] }) {
  return (
    <>
      {sites.map((one) => (
        <option key={one.site_id} value={one.site_id}>
          {siteName(one)}
        </option>
      ))}
    </>
  );
}
