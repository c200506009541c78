// One of the six tables: what was looked at, where from, with what. The bar
// behind a name is its share of the largest row.

import type { BreakdownRow, Dimension } from "../../api/types";
import { t } from "../../text/en";
import { formatCount, formatInteger } from "../../text/format";
import { isUnknown, labelOf } from "./label";

/** How many rows a table shows at first, and how many more each time. */
export const ROWS = 8;
export const ROWS_MORE = 20;
/** The server's own limit. */
export const ROWS_MAX = 1000;

interface Props {
  dimension: Dimension;
  /** null while the first answer is on its way. One more than is shown, if there are more. */
  rows: readonly BreakdownRow[] | null;
  shown: number;
  onShow: (count: number) => void;
}

export function Breakdown({ dimension, rows, shown, onShow }: Props) {
  const text = t.breakdown[dimension];
  const id = `breakdown-${dimension}`;
  return (
    <section class="breakdown" data-dimension={dimension} aria-labelledby={id}>
      <h2 id={id}>{text.title}</h2>
      <table aria-labelledby={id}>
        <thead>
          <tr>
            <th scope="col">
              <span class="hidden">{text.column}</span>
            </th>
            <th scope="col" class="count">
              {t.breakdown.visitors}
            </th>
            <th scope="col" class="count">
              <abbr title={t.breakdown.pageviewsLong}>{t.breakdown.pageviews}</abbr>
            </th>
          </tr>
        </thead>
        {rows ? <Rows dimension={dimension} rows={rows.slice(0, shown)} /> : <SkeletonRows />}
      </table>
      {dimension === "countries" && rows?.length === 1 && isUnknown(rows[0]?.value) && <p class="nothing">{t.breakdown.noGeoIP}</p>}
      {rows?.length === 0 && <p class="nothing">{t.breakdown.empty}</p>}
      {!rows && <p class="more" aria-hidden="true" />}
      {rows && <More title={text.title} available={rows.length} shown={shown} onShow={onShow} />}
    </section>
  );
}

function Rows({ dimension, rows }: { dimension: Dimension; rows: readonly BreakdownRow[] }) {
  const largest = Math.max(1, ...rows.map((row) => row.visitors));
  return (
    <tbody>
      {rows.map((row) => {
        const label = labelOf(dimension, row.value);
        return (
          <tr key={row.value ?? "\u0000"}>
            <th scope="row" title={label.title}>
              <span class="bar" style={{ width: `${(100 * row.visitors) / largest}%` }} />
              <span class={`name ${label.special ? "special" : ""}`}>
                {label.code && <span class="code">{label.code}</span>}
                <bdi>{label.text}</bdi>
              </span>
            </th>
            <td class="count" title={formatInteger(row.visitors)}>
              {formatCount(row.visitors)}
            </td>
            <td class="count lesser" title={formatInteger(row.pageviews)}>
              {formatCount(row.pageviews)}
            </td>
          </tr>
        );
      })}
    </tbody>
  );
}

function SkeletonRows() {
  return (
    <tbody class="skeleton-rows" aria-hidden="true">
      {Array.from({ length: ROWS }, (_, i) => (
        <tr key={i}>
          <td colSpan={3}>
            <span class="skeleton-text" />
          </td>
        </tr>
      ))}
    </tbody>
  );
}

interface MoreProps {
  title: string;
  available: number;
  shown: number;
  onShow: (count: number) => void;
}

function More({ title, available, shown, onShow }: MoreProps) {
  const more = available > shown && shown < ROWS_MAX;
  const less = shown > ROWS && available > ROWS;
  if (!more && !less) return null;
  return (
    <p class="more">
      {more && (
        <button type="button" aria-label={t.breakdown.moreOf(title)} onClick={() => onShow(Math.min(ROWS_MAX, shown + ROWS_MORE))}>
          {t.breakdown.more}
        </button>
      )}
      {less && (
        <button type="button" aria-label={t.breakdown.lessOf(title)} onClick={() => onShow(ROWS)}>
          {t.breakdown.less}
        </button>
      )}
    </p>
  );
}
