// Hosts that proxies are asked for and that are no sites: a line at the foot of
// the page, and a list to add them from. Anybody can make up a host, so that it
// is no warning, and nothing is added by itself.

import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "../../api/client";
import { sitesURL } from "../../api/requests";
import { decodeSite, type Site, type UnknownHost } from "../../api/types";
import { client, useUnknownHosts } from "../../state/hooks";
import { t } from "../../text/en";
import { formatInteger, formatMoment } from "../../text/format";
import { siteName, visible } from "../../text/outside";
import { refusalText } from "./refusal";

/** How many hosts are listed at first: a scanner makes up hundreds. */
const HOSTS = 10;

interface Props {
  zone: string;
  /** The list of sites is another one now. */
  onAdded: () => void;
  onSite: (id: string) => void;
}

export function UnknownHosts({ zone, onAdded, onSite }: Props) {
  // One that can't be had, such as with an older aggregator, is no list.
  const { value, refresh } = useUnknownHosts();
  const [added, setAdded] = useState<Site | null>(null);
  const [all, setAll] = useState(false);
  const [known, setKnown] = useState("");
  const hosts = value ?? [];
  if (hosts.length === 0 && !added && !known) return null;
  const one = hosts.length === 1;
  const changed = (site: Site | null, said: string) => {
    setAdded(site);
    setKnown(said);
    onAdded();
    refresh();
  };
  return (
    <section class="hosts" aria-label={t.hosts.label}>
      {added && <Added site={added} onSite={onSite} />}
      {known && <Known text={known} />}
      {hosts.length > 0 && (
        <details>
          <summary>
            {t.hosts.title(formatInteger(hosts.length), one)} <span class="open">{one ? t.hosts.openOne : t.hosts.open}</span>
          </summary>
          <p class="note">{t.hosts.lead}</p>
          <table>
            <thead>
              <tr>
                <th scope="col">{t.hosts.columns.host}</th>
                <th scope="col" class="count">
                  {t.hosts.columns.requests}
                </th>
                <th scope="col">{t.hosts.columns.seen}</th>
                <th scope="col">
                  <span class="hidden">{t.hosts.add}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {hosts.slice(0, all ? undefined : HOSTS).map((host) => (
                <Host key={host.host} host={host} zone={zone} onSuccess={(site) => changed(site, "")} onKnown={(said) => changed(null, said)} />
              ))}
            </tbody>
          </table>
          {hosts.length > HOSTS && !all && (
            <p class="more">
              <button type="button" onClick={() => setAll(true)}>
                {t.hosts.more(formatInteger(hosts.length - HOSTS))}
              </button>
            </p>
          )}
        </details>
      )}
    </section>
  );
}

interface HostProps {
  host: UnknownHost;
  zone: string;
  onSuccess: (site: Site) => void;
  /** The host is a site already, and goes from the list with what is said in it. */
  onKnown: (said: string) => void;
}

function Host({ host, zone, onSuccess, onKnown }: HostProps) {
  const [adding, setAdding] = useState(false);
  const [refusal, setRefusal] = useState("");
  const name = visible(host.host);
  const add = async () => {
    setAdding(true);
    setRefusal("");
    try {
      // Not ended when the row goes: what was begun is done, and said.
      onSuccess(await client.post(sitesURL, { domain: host.host }, decodeSite, new AbortController().signal));
    } catch (error) {
      setAdding(false);
      if (error instanceof Failure && error.code === "site_exists") onKnown(refusalText(name, error));
      else setRefusal(refusalText(name, error));
    }
  };
  return (
    <tr data-host={host.host}>
      <th scope="row">
        <bdi>{name}</bdi>
        {refusal && (
          <p class="refused" role="alert">
            {refusal}
          </p>
        )}
      </th>
      <td class="count">
        {formatInteger(host.requests)}
        <span class="unit"> {t.hosts.unit(host.requests === 1)}</span>
      </td>
      <td class="seen">{formatMoment(host.last_seen, zone)}</td>
      <td class="act">
        <button type="button" aria-label={t.hosts.addHost(name)} disabled={adding} onClick={() => void add()}>
          {adding ? t.hosts.adding : t.hosts.add}
        </button>
      </td>
    </tr>
  );
}

/** Known takes the focus of the button that goes with its row. */
function Known({ text }: { text: string }) {
  const line = useRef<HTMLParagraphElement>(null);
  useEffect(() => line.current?.focus(), [text]);
  return (
    <p ref={line} class="refused" role="alert" tabIndex={-1}>
      {text}
    </p>
  );
}

/** Added takes the focus of the button that went with its row. */
function Added({ site, onSite }: { site: Site; onSite: (id: string) => void }) {
  const button = useRef<HTMLButtonElement>(null);
  const name = siteName(site);
  useEffect(() => button.current?.focus(), [site]);
  return (
    <p class="added" role="status">
      {t.hosts.added(name)}{" "}
      <button ref={button} type="button" aria-label={t.hosts.showHost(name)} onClick={() => onSite(site.site_id)}>
        {t.hosts.show}
      </button>
    </p>
  );
}
