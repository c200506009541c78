// Why some of the numbers above are not known, in the server's own sentences.

import type { Meta } from "../../api/types";
import { t } from "../../text/en";
import { visible } from "../../text/outside";

export function Caveats({ meta }: { meta: Meta | null }) {
  // Two reasons may say the same; it is read once.
  const messages = [...new Set(meta?.caveats.map((caveat) => caveat.message))].filter((message) => message !== "");
  if (messages.length === 0) return null;
  return (
    <ul class="caveats" aria-label={t.unknown.why}>
      {messages.map((message) => (
        <li key={message}>{visible(message)}</li>
      ))}
    </ul>
  );
}
