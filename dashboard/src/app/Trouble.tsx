// When answers do not come: what is wrong, what happens by itself, what to do.

import type { Failure } from "../api/client";
import type { Site } from "../api/types";
import { t } from "../text/en";
import { siteName, visible } from "../text/outside";
import { Warning } from "../ui/icons";
import { Water } from "./Waiting";

interface Props {
  failure: Failure;
  onRetry: () => void;
}

function textOf(failure: Failure): { title: string; hint: string } {
  switch (failure.kind) {
    case "offline":
      return { title: t.failure.offlineTitle, hint: t.failure.offlineHint };
    case "signed_out":
      return { title: t.failure.signedOutTitle, hint: t.failure.signedOutHint };
    case "refused":
      return { title: t.failure.refusedTitle, hint: failure.message };
    case "unexpected":
      return { title: t.failure.unexpectedTitle, hint: `${t.failure.unexpectedHint} (${failure.message})` };
  }
}

function Retry({ failure, onRetry, ...more }: Props & { class?: string }) {
  // Only the browser itself can follow where a sign-in leads.
  return failure.kind === "signed_out" ? (
    <button type="button" {...more} onClick={() => location.reload()}>
      {t.failure.reload}
    </button>
  ) : (
    <button type="button" {...more} onClick={onRetry}>
      {t.failure.retry}
    </button>
  );
}

/** TroublePage stands where there are no earlier numbers to show. */
export function TroublePage({ failure, onRetry }: Props) {
  const { title, hint } = textOf(failure);
  return (
    <section class="waiting-page trouble" role="alert">
      <Water />
      <h2>{title}</h2>
      <p class="lead">{hint}</p>
      <Retry failure={failure} onRetry={onRetry} class="primary" />
    </section>
  );
}

/** TroubleNotice stands above numbers that are no longer fresh. */
export function TroubleNotice({ failure, onRetry, since }: Props & { since: string }) {
  const { title, hint } = textOf(failure);
  return (
    <section class="notice failure" role="alert">
      <Warning />
      <p>
        <strong>{title}.</strong> {since}. {hint}
      </p>
      <Retry failure={failure} onRetry={onRetry} />
    </section>
  );
}

export function UnknownSite({ wanted, sites, onSite }: { wanted: string; sites: readonly Site[]; onSite: (id: string) => void }) {
  return (
    <section class="waiting-page" role="alert">
      <Water />
      <h2>{t.failure.unknownSite(visible(wanted))}</h2>
      <p class="lead">{t.failure.unknownSiteHint}</p>
      <ul class="site-list">
        {sites.map((site) => (
          <li key={site.site_id}>
            <button type="button" onClick={() => onSite(site.site_id)}>
              {siteName(site)}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
