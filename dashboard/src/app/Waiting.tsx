// Before the first visit: what to write where, and the promise that this page
// notices by itself.

import { useState } from "preact/hooks";
import type { Site } from "../api/types";
import { t } from "../text/en";
import { siteName } from "../text/outside";
import { Duck } from "../ui/Duck";

export function caddyfile(domain: string, aggregator: string): string {
  return `{
    eider {
        aggregator ${aggregator}
        token      {env.EIDER_EDGE_TOKEN}
    }
}
${domain} {
    eider
    reverse_proxy 127.0.0.1:3000
}`;
}

export function Waiting({ site }: { site: Site | null }) {
  const [copied, setCopied] = useState(false);
  const text = caddyfile("example.com", location.origin);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 2_000);
    } catch {
      // Not allowed here: the text can be selected.
    }
  };
  return (
    <section class="waiting-page">
      <Water />
      <h2>{t.waiting.title}</h2>
      <p class="lead">{lead(site)}</p>
      {!site && (
        <figure class="code">
          <figcaption>
            {t.waiting.caddyfile}
            <button type="button" onClick={() => void copy()}>
              {copied ? t.waiting.copied : t.waiting.copy}
            </button>
          </figcaption>
          <pre tabIndex={0}>{text}</pre>
        </figure>
      )}
      <p class="note">
        <span class="pulse" /> {t.waiting.note}
      </p>
    </section>
  );
}

function lead(site: Site | null): string {
  if (!site) return t.waiting.noSite;
  return site.archived ? t.waiting.archived(siteName(site), site.site_id) : t.waiting.noVisit(siteName(site));
}

export function Water() {
  return (
    <div class="water" aria-hidden="true">
      <Duck class="swimmer" />
      <svg class="waves" viewBox="0 0 240 24" focusable="false">
        <path d="M0 6c10 0 10 5 20 5S30 6 40 6s10 5 20 5 10-5 20-5 10 5 20 5 10-5 20-5 10 5 20 5 10-5 20-5 10 5 20 5 10-5 20-5 10 5 20 5 10-5 20-5 10 5 20 5" />
        <path d="M40 17c10 0 10 4 20 4s10-4 20-4 10 4 20 4 10-4 20-4 10 4 20 4 10-4 20-4 10 4 20 4" />
      </svg>
    </div>
  );
}
