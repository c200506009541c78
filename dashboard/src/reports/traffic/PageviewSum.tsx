// People's page views as the sum that they are.

import type { PageviewBooks } from "../../api/types";
import { t } from "../../text/en";
import { formatInteger } from "../../text/format";

const TERMS = ["recorded", "activated", "script_only", "cached", "reclassified"] as const;

export function PageviewSum({ books }: { books: PageviewBooks }) {
  return (
    <>
      <p class="note">{t.traffic.sumNote}</p>
      <table class="facts sum">
        <thead class="hidden">
          <tr>
            <th scope="col">{t.traffic.columns.term}</th>
            <th scope="col">{t.traffic.columns.pageviews}</th>
          </tr>
        </thead>
        <tbody>
          {TERMS.map((term) => (
            <tr key={term} data-term={term}>
              <th scope="row">
                {t.traffic.term[term].name}
                <p class="meaning">{t.traffic.term[term].meaning}</p>
              </th>
              <td class="count">{signed(term, books[term])}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr data-term="people">
            <th scope="row">{t.traffic.people}</th>
            <td class="count">{formatInteger(books.people)}</td>
          </tr>
        </tfoot>
      </table>
    </>
  );
}

function signed(term: (typeof TERMS)[number], count: number): string {
  const text = formatInteger(count);
  if (term === "recorded") return text;
  return term === "reclassified" ? t.traffic.minus(text) : t.traffic.plus(text);
}
