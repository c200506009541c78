// Why some of the numbers above are not known, in the server's own sentences.

import { sentencesOf } from "../../api/caveat";
import type { Meta } from "../../api/types";
import { t } from "../../text/en";
import { visible } from "../../text/outside";

export function Caveats({ meta }: { meta: Meta | null }) {
  const messages = sentencesOf(meta?.caveats ?? []);
  if (messages.length === 0) return null;
  return (
    <ul class="caveats" aria-label={t.unknown.why}>
      {messages.map((message) => (
        <li key={message}>{visible(message)}</li>
      ))}
    </ul>
  );
}
