// What is missing from the numbers, said before they are read.

import type { Accounting, Incident } from "../../api/types";
import { t, wordFor } from "../../text/en";
import { formatDuration, formatInteger, formatMoment, formatMoments } from "../../text/format";
import { visible } from "../../text/outside";
import { Warning } from "../../ui/icons";
import { edgeName, type EdgeTrouble, edgeTroubles } from "./edges";

interface Props {
  accounting: Accounting | null;
  zone: string;
  /** Milliseconds since 1970. */
  now: number;
}

export function Notices({ accounting, zone, now }: Props) {
  if (!accounting) return null;
  const incidents = accounting.incomplete.filter((incident) => incident.count > 0);
  const troubles = edgeTroubles(accounting.edges, now);
  const changes = accounting.identity_changed;
  if (incidents.length + troubles.length + changes.length === 0) return null;
  return (
    <div class="notices">
      {incidents.length > 0 && <Incomplete incidents={incidents} zone={zone} />}
      {changes.length > 0 && <IdentityNotice changes={changes} zone={zone} />}
      {troubles.map((trouble) => (
        <EdgeNotice key={`${trouble.edge.edge} ${trouble.kind}`} trouble={trouble} />
      ))}
    </div>
  );
}

function Incomplete({ incidents, zone }: { incidents: readonly Incident[]; zone: string }) {
  const count = incidents.reduce((sum, incident) => sum + incident.count, 0);
  const columns = t.incomplete.columns;
  return (
    <section class="notice incomplete">
      <Warning />
      <div>
        <p>
          <strong>{t.incomplete.title(formatInteger(count), count === 1)}</strong> {t.incomplete.lead}
        </p>
        <details>
          <summary>{t.incomplete.details}</summary>
          <table>
            <thead>
              <tr>
                <th scope="col">{columns.when}</th>
                <th scope="col" class="count">
                  {columns.count}
                </th>
                <th scope="col">{columns.reason}</th>
                <th scope="col">{columns.advice}</th>
              </tr>
            </thead>
            <tbody>
              {incidents.map((incident, i) => (
                <tr key={`${incident.from} ${incident.reason} ${i}`}>
                  <th scope="row">{formatMoments(incident.from, incident.to, zone)}</th>
                  <td class="count">
                    {formatInteger(incident.count)}
                    <span class="unit"> {t.incomplete.unit(incident.count === 1)}</span>
                  </td>
                  <td>{wordFor(t.incomplete.reason, incident.reason) ?? t.incomplete.otherReason(visible(incident.reason))}</td>
                  <td>{wordFor(t.incomplete.advice, incident.reason) ?? t.incomplete.otherAdvice}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      </div>
    </section>
  );
}

/** IdentityNotice is one line, however often it was: the chart shows each. */
function IdentityNotice({ changes, zone }: { changes: readonly string[]; zone: string }) {
  const last = changes.reduce((one, other) => (Date.parse(other) > Date.parse(one) ? other : one));
  const when = formatMoment(last, zone);
  return (
    <section class="notice identity">
      <Warning />
      <p>
        <strong>{changes.length === 1 ? t.identity.title(when) : t.identity.titleOften(formatInteger(changes.length), when)}</strong> {t.identity.hint}
      </p>
    </section>
  );
}

function EdgeNotice({ trouble }: { trouble: EdgeTrouble }) {
  const { title, hint } = t.edges[trouble.kind];
  const queued = trouble.edge.queued;
  return (
    <section class={`notice edge ${trouble.kind}`}>
      <Warning />
      <p>
        <strong>{title(visible(edgeName(trouble.edge)), formatDuration(trouble.seconds))}</strong>{" "}
        {queued > 0 && trouble.kind !== "fast" && trouble.kind !== "slow" && `${t.edges.queued(formatInteger(queued), queued === 1)} `}
        {hint}
      </p>
    </section>
  );
}
