// How many people are there now, and whether the page itself is up to date.

import type { FeedState } from "../../api/feed";
import { t } from "../../text/en";
import { formatInteger } from "../../text/format";
import { visible } from "../../text/outside";
import { useTween } from "../../ui/useTween";

export function Live({ feed }: { feed: FeedState }) {
  const count = feed.realtime?.current_visitors ?? null;
  const shown = useTween(count);
  if (feed.failure) {
    return (
      <p class="live away">
        <span class="pulse" />
        {feed.failure.kind === "offline" ? t.live.offline : t.live.retrying}
      </p>
    );
  }
  if (feed.realtime && count === null) {
    const why = visible(feed.realtime.meta?.caveats[0]?.message ?? "");
    return (
      <p class="live" title={why || t.unknown.spoken}>
        <span class="pulse" />
        <span aria-hidden="true">
          <strong>{t.unknown.sign}</strong> {t.live.now(0)}
        </span>
        <span class="hidden">
          {t.unknown.of(t.live.now(0))}
          {why && `. ${why}`}
        </span>
      </p>
    );
  }
  if (count === null || shown === null) {
    return (
      <p class="live waiting" aria-hidden="true">
        <span class="pulse" />
        {feed.overview ? "" : t.live.connecting}
      </p>
    );
  }
  return (
    <p class={`live ${count > 0 ? "busy" : ""}`} title={t.live.window(feed.realtime?.window_minutes ?? 5)}>
      <span class="pulse" />
      <strong>{formatInteger(Math.round(shown))}</strong> {t.live.now(count)}
    </p>
  );
}
