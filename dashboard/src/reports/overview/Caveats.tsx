// Why some of the numbers above are not known, in the server's own sentences.

import { sentencesOf } from "../../api/caveat";
import type { Meta } from "../../api/types";
import { t } from "../../text/en";
import { formatSentence } from "../../text/format";
import { visible } from "../../text/outside";

export function Caveats({ meta, zone }: { meta: Meta | null; zone: string }) {
  const messages = sentencesOf(meta?.caveats ?? []);
  if (messages.length === 0) return null;
  return (
    <ul class="caveats" aria-label={t.unknown.why}>
      {messages.map((message) => (
        <li key={message}>{visible(formatSentence(message, zone))}</li>
      ))}
    </ul>
  );
}
