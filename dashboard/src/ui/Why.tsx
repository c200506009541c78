// What to know of one table's numbers, behind a line that opens: the sentences
// are long, and most readers need them once.

import { t } from "../text/en";
import { visible } from "../text/outside";

interface Props {
  /** For the table's aria-describedby, which reads what is closed, too. */
  id: string;
  /** Whose numbers they are. */
  of: string;
  sentences: readonly string[];
}

export function Why({ id, of, sentences }: Props) {
  if (sentences.length === 0) return null;
  return (
    <details class="why">
      <summary>
        {t.unknown.about}
        <span class="hidden"> {t.unknown.aboutOf(of)}</span>
      </summary>
      <div id={id}>
        {sentences.map((sentence) => (
          <p key={sentence}>{visible(sentence)}</p>
        ))}
      </div>
    </details>
  );
}
