// One of the six tables: what was looked at, where from, with what.

import { sentencesOn } from "../../api/caveat";
import type { BreakdownRow, Caveat, Dimension } from "../../api/types";
import { t } from "../../text/en";
import { isUnknown, labelOf } from "./label";
import { type Column, Ranking } from "./Ranking";

interface Props {
  dimension: Dimension;
  /** null while the first answer is on its way. One more than is shown, if there are more. */
  rows: readonly BreakdownRow[] | null;
  caveats: readonly Caveat[];
  /** What is said of all numbers already. */
  said: readonly Caveat[];
  shown: number;
  onShow: (count: number) => void;
}

const COUNTS: [Column, Column] = [
  { head: t.breakdown.visitors, of: (row) => row.visitors },
  { head: t.breakdown.pageviews, long: t.breakdown.pageviewsLong, of: (row) => row.pageviews },
];

export function Breakdown({ dimension, rows, caveats, said, shown, onShow }: Props) {
  const text = t.breakdown[dimension];
  const id = `breakdown-${dimension}`;
  return (
    <section class="breakdown" data-dimension={dimension} aria-labelledby={id}>
      <h2 id={id}>{text.title}</h2>
      <Ranking
        title={text.title}
        labelledBy={id}
        column={text.column}
        counts={COUNTS}
        label={(value) => labelOf(dimension, value)}
        rows={rows}
        why={sentencesOn(caveats, ["visitors", "pageviews", dimension], said)}
        empty={t.breakdown.empty}
        shown={shown}
        onShow={onShow}
      />
      {dimension === "countries" && rows?.length === 1 && isUnknown(rows[0]?.value) && <p class="nothing hint">{t.breakdown.noGeoIP}</p>}
    </section>
  );
}
