// The chart's twin: the same buckets as a table, the newest first.

import { t } from "../../text/en";
import { formatBucketRow, formatInteger } from "../../text/format";
import { Known } from "../../ui/Known";
import { type Drawn, SERIES } from "./plot";

export function ChartTable({ buckets, interval, oneDay, marks, shown }: Drawn) {
  const rows = buckets.map((bucket, i) => ({ ...bucket, marked: marks.has(i) })).filter((bucket) => !bucket.future).reverse();
  const columns = SERIES.filter((name) => shown[name]);
  return (
    <div class="chart-table" tabIndex={0} role="region" aria-label={t.chart.label} data-arrows>
      <table>
        <thead>
          <tr>
            <th scope="col">{t.chart.when[interval]}</th>
            {columns.map((name) => (
              <th key={name} scope="col" class="count">
                {t.numbers[name]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((bucket, i) => (
            <tr key={`${bucket.date} ${i}`}>
              <th scope="row">
                {formatBucketRow(bucket.date, interval, oneDay)}
                {bucket.partial && <em> {t.chart.partial}</em>}
                {bucket.marked && <em class="marked"> {t.chart.marked}</em>}
              </th>
              {columns.map((name) => (
                <td key={name} class="count">
                  <Known value={bucket[name]} format={formatInteger} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
