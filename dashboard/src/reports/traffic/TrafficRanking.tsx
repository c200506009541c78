// The tables of what is no page view. One is asked for while it is open.

import { useState } from "preact/hooks";
import type { Question } from "../../api/requests";
import { sentencesOn } from "../../api/caveat";
import type { Caveat, TrafficTable } from "../../api/types";
import { useTrafficTable } from "../../state/hooks";
import { t } from "../../text/en";
import { type Column, limitFor, Ranking, ROWS } from "../breakdown/Ranking";
import { trafficLabel } from "./words";

const visitors: Column = { head: t.breakdown.visitors, of: (row) => row.visitors };
const rowsCalled = (head: string): Column => ({ head, of: (row) => row.events });

const COUNTS: Record<TrafficTable, [Column, ...Column[]]> = {
  bots: [rowsCalled(t.traffic.columns.requests)],
  crawlers: [rowsCalled(t.traffic.columns.requests)],
  "not-found": [rowsCalled(t.traffic.columns.times), visitors],
  downloads: [rowsCalled(t.traffic.columns.downloads), visitors],
};

interface Props {
  question: Question;
  table: TrafficTable;
  /** What is said of all numbers already. */
  said: readonly Caveat[];
}

export function TrafficRanking({ question, table, said }: Props) {
  const [shown, setShown] = useState(ROWS);
  const { value, caveats, failure, loading } = useTrafficTable(question, table, limitFor(shown));
  const text = t.traffic.table[table];
  return (
    <div class={`ranking ${loading && value ? "stale" : ""}`} data-table={table} aria-busy={loading}>
      <p class="note" id={`traffic-${table}`}>
        {text.note}
      </p>
      {failure && (
        <p class="refused" role="alert">
          {t.traffic.tableUnreadable(failure.message)}
        </p>
      )}
      {(value || !failure) && (
        <Ranking
          title={t.traffic.tab[table]}
          labelledBy={`traffic-${table}`}
          column={text.column}
          counts={COUNTS[table]}
          label={(name) => trafficLabel(table, name)}
          rows={value}
          why={sentencesOn(caveats, COUNTS[table].includes(visitors) ? ["visitors", table] : [table], said)}
          empty={text.empty}
          shown={shown}
          onShow={setShown}
        />
      )}
    </div>
  );
}
