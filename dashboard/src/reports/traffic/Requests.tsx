// Every request by what became of it, each with what that means.

import type { Accounting } from "../../api/types";
import { t, wordFor } from "../../text/en";
import { formatInteger, formatShare } from "../../text/format";
import { visible } from "../../text/outside";
import { resultRows } from "./results";

export function Requests({ accounting }: { accounting: Accounting }) {
  const { requests, results } = accounting;
  if (requests === null || requests === 0) return <p class="nothing">{t.traffic.noRequests}</p>;
  const columns = t.traffic.columns;
  return (
    <>
      <p class="note">{t.traffic.requestsNote}</p>
      <table class="facts results">
        <thead>
          <tr>
            <th scope="col">{columns.result}</th>
            <th scope="col" class="count">
              {columns.requests}
            </th>
            <th scope="col" class="count">
              {columns.share}
            </th>
          </tr>
        </thead>
        <tbody>
          {resultRows(results).map((row) => (
            <tr key={row.result} data-result={row.result}>
              <th scope="row">
                <span class={`dot ${row.group}`} />
                <bdi>{wordFor(t.traffic.result, row.result) ?? visible(row.result)}</bdi>
                <p class="meaning">{wordFor(t.traffic.meaning, row.result) ?? t.traffic.otherMeaning}</p>
              </th>
              <td class="count">{formatInteger(row.requests)}</td>
              <td class="count lesser">{formatShare(row.requests, requests)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{t.traffic.requests}</th>
            <td class="count">{formatInteger(requests)}</td>
            <td class="count lesser">{formatShare(requests, requests)}</td>
          </tr>
        </tfoot>
      </table>
    </>
  );
}
