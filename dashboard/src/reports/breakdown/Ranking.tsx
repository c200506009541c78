// A table of names from outside and their counts. The bar behind a name is its
// share of the largest row.

import type { BreakdownRow } from "../../api/types";
import { t } from "../../text/en";
import { formatCount, formatInteger } from "../../text/format";
import { Known } from "../../ui/Known";
import { Why } from "../../ui/Why";
import type { Label } from "./label";

/** How many rows a table shows at first, and how many more each time. */
export const ROWS = 8;
export const ROWS_MORE = 20;
/** The server's own limit. */
export const ROWS_MAX = 1000;

/** One row more than is shown tells whether there are more. */
export const limitFor = (shown: number): number => Math.min(ROWS_MAX, shown + 1);

export interface Column {
  head: string;
  /** The head in full, where it is short for something. */
  long?: string;
  /** null where nobody knows. */
  of: (row: BreakdownRow) => number | null;
}

interface Props {
  title: string;
  /** The element whose text is the table's name. */
  labelledBy: string;
  /** What the names are names of. */
  column: string;
  /** The first is what the rows are ordered by. */
  counts: readonly [Column, ...Column[]];
  label: (value: string | null) => Label;
  /** null while the first answer is on its way. One more than is shown, if there are more. */
  rows: readonly BreakdownRow[] | null;
  /** What to know of the numbers, in sentences. */
  why: readonly string[];
  /** Said where there are no rows. */
  empty: string;
  shown: number;
  onShow: (count: number) => void;
}

export function Ranking(props: Props) {
  const { title, column, counts, rows, shown, onShow, why } = props;
  const whyId = `${props.labelledBy}-why`;
  return (
    <>
      <table aria-labelledby={props.labelledBy} aria-describedby={why.length > 0 ? whyId : undefined}>
        <thead>
          <tr>
            <th scope="col">
              <span class="hidden">{column}</span>
            </th>
            {counts.map((count) => (
              <th key={count.head} scope="col" class="count">
                {count.long ? <abbr title={count.long}>{count.head}</abbr> : count.head}
              </th>
            ))}
          </tr>
        </thead>
        {rows ? <Rows rows={rows.slice(0, shown)} counts={counts} label={props.label} /> : <SkeletonRows columns={counts.length + 1} />}
      </table>
      {rows?.length === 0 && <p class="nothing">{props.empty}</p>}
      <Why id={whyId} of={title} sentences={why} />
      {!rows && <p class="more" aria-hidden="true" />}
      {rows && <More title={title} available={rows.length} shown={shown} onShow={onShow} />}
    </>
  );
}

function Rows({ rows, counts, label }: { rows: readonly BreakdownRow[] } & Pick<Props, "counts" | "label">) {
  // Where the first count is known of no row, the bars are of the next.
  const measure = counts.find((count) => rows.some((row) => count.of(row) !== null)) ?? counts[0];
  const largest = Math.max(1, ...rows.map((row) => measure.of(row) ?? 0));
  return (
    <tbody>
      {rows.map((row) => {
        const name = label(row.value);
        const size = measure.of(row);
        return (
          <tr key={row.value ?? "\u0000"}>
            <th scope="row" title={name.title}>
              {size !== null && <span class="bar" style={{ width: `${(100 * size) / largest}%` }} />}
              <span class={`name ${name.special ? "special" : ""}`}>
                {name.code && <span class="code">{name.code}</span>}
                <bdi>{name.text}</bdi>
              </span>
            </th>
            {counts.map((count) => {
              const value = count.of(row);
              return (
                <td key={count.head} class={count === measure ? "count" : "count lesser"} title={value === null ? t.unknown.spoken : formatInteger(value)}>
                  <Known value={value} format={formatCount} />
                </td>
              );
            })}
          </tr>
        );
      })}
    </tbody>
  );
}

function SkeletonRows({ columns }: { columns: number }) {
  return (
    <tbody class="skeleton-rows" aria-hidden="true">
      {Array.from({ length: ROWS }, (_, i) => (
        <tr key={i}>
          <td colSpan={columns}>
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
