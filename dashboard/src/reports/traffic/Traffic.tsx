// All traffic: people and everything else side by side. At first a sum of each
// and one bar; what it is made of opens on demand.

import type { Question } from "../../api/requests";
import { type Accounting, type Caveat, TRAFFIC_TABLES, type TrafficTable } from "../../api/types";
import { TRAFFIC_TABS, type TrafficTab } from "../../state/view";
import { t } from "../../text/en";
import { formatCount, formatInteger, formatShare } from "../../text/format";
import { ChevronDown } from "../../ui/icons";
import { Known } from "../../ui/Known";
import { Segments } from "../../ui/Segments";
import { PageviewSum } from "./PageviewSum";
import { Requests } from "./Requests";
import { groupSums } from "./results";
import { TrafficRanking } from "./TrafficRanking";

interface Props {
  question: Question | null;
  /** null while it is on its way, or where it can't be had. */
  accounting: Accounting | null;
  /** What is said of all numbers already. */
  said: readonly Caveat[];
  loading: boolean;
  tab: TrafficTab | null;
  onTab: (tab: TrafficTab | null) => void;
}

const DETAILS = "traffic-details";

export function Traffic({ question, accounting, said, loading, tab, onTab }: Props) {
  const open = tab !== null;
  return (
    <section class="sheet traffic" aria-labelledby="traffic-title">
      <div class="traffic-head">
        <h2 id="traffic-title">{t.traffic.title}</h2>
        <button type="button" class="disclose" aria-expanded={open} aria-controls={DETAILS} onClick={() => onTab(open ? null : "requests")}>
          {open ? t.traffic.close : t.traffic.open}
          <ChevronDown />
        </button>
      </div>
      {accounting ? <Sums accounting={accounting} /> : loading ? <Skeleton /> : <p class="nothing">{t.traffic.unreadable}</p>}
      <div id={DETAILS} class="traffic-details" hidden={!open}>
        {tab !== null && (
          <>
            <Segments
              name="traffic"
              class="quiet tabs"
              label={t.traffic.details}
              value={tab}
              options={TRAFFIC_TABS.map((value) => ({ value, text: t.traffic.tab[value] }))}
              onChoose={onTab}
            />
            {question && <Panel question={question} accounting={accounting} said={said} tab={tab} />}
          </>
        )}
      </div>
    </section>
  );
}

interface PanelProps extends Pick<Props, "accounting" | "said"> {
  question: Question;
  tab: TrafficTab;
}

function Panel({ question, accounting, said, tab }: PanelProps) {
  if (isTable(tab)) return <TrafficRanking key={`${question.siteId} ${tab}`} question={question} table={tab} said={said} />;
  if (!accounting) return null;
  return tab === "requests" ? <Requests accounting={accounting} /> : <PageviewSum books={accounting.pageviews} />;
}

function isTable(tab: TrafficTab): tab is TrafficTable {
  return TRAFFIC_TABLES.some((table) => table === tab);
}

function Sums({ accounting }: { accounting: Accounting }) {
  const { requests, results, pageviews } = accounting;
  const groups = groupSums(results).filter((sum) => sum.requests > 0);
  return (
    <>
      <dl class="sums">
        <div>
          <dt>{t.traffic.people}</dt>
          <dd title={formatInteger(pageviews.people)}>{formatCount(pageviews.people)}</dd>
        </div>
        <div>
          <dt>{t.traffic.requests}</dt>
          <dd title={requests === null ? t.numbers.unknownHint : formatInteger(requests)}>
            <Known value={requests} format={formatCount} spoken={t.numbers.unknownHint} />
          </dd>
        </div>
      </dl>
      {requests === null || requests === 0 ? (
        <p class="nothing">{t.traffic.noRequests}</p>
      ) : (
        <>
          <div class="shares" aria-hidden="true">
            {groups.map((sum) => (
              <span key={sum.group} class={`share ${sum.group}`} style={{ flexGrow: sum.requests / requests }} />
            ))}
          </div>
          <ul class="share-list">
            {groups.map((sum) => (
              <li key={sum.group}>
                <span class={`dot ${sum.group}`} />
                {t.traffic.group[sum.group]} <strong title={formatInteger(sum.requests)}>{formatCount(sum.requests)}</strong>{" "}
                <span class="lesser">{formatShare(sum.requests, requests)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

/** Skeleton has the parts of the sums, so that nothing jumps. */
function Skeleton() {
  return (
    <div aria-hidden="true">
      <div class="sums" />
      <div class="shares chart-skeleton" />
      <p class="share-list">{"\u00a0"}</p>
    </div>
  );
}
