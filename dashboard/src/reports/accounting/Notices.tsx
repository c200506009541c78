// What is missing from the numbers, said before they are read.

import type { Accounting, Incident } from "../../api/types";
import { t } from "../../text/en";
import { formatDuration, formatInteger, formatMoments } from "../../text/format";
import { Warning } from "../../ui/icons";
import { visible } from "../breakdown/label";
import { edgeName, type EdgeTrouble, edgeTroubles } from "./edges";

interface Props {
  accounting: Accounting | null;
  zone: string;
}

export function Notices({ accounting, zone }: Props) {
  if (!accounting) return null;
  const incidents = accounting.incomplete.filter((incident) => incident.count > 0);
  const troubles = edgeTroubles(accounting.edges);
  if (incidents.length === 0 && troubles.length === 0) return null;
  return (
    <div class="notices">
      {incidents.length > 0 && <Incomplete incidents={incidents} zone={zone} />}
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
              {incidents.map((incident) => (
                <tr key={`${incident.from} ${incident.reason}`}>
                  <th scope="row">{formatMoments(incident.from, incident.to, zone)}</th>
                  <td class="count">{formatInteger(incident.count)}</td>
                  <td>{t.incomplete.reason[incident.reason] ?? t.incomplete.otherReason(visible(incident.reason))}</td>
                  <td>{t.incomplete.advice[incident.reason] ?? t.incomplete.otherAdvice}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      </div>
    </section>
  );
}

function EdgeNotice({ trouble }: { trouble: EdgeTrouble }) {
  const name = visible(edgeName(trouble.edge));
  const time = formatDuration(trouble.seconds);
  const queued = trouble.edge.queued;
  let title: string;
  let hint: string;
  switch (trouble.kind) {
    case "silent":
      title = t.edges.silent(name, time);
      hint = t.edges.silentHint;
      break;
    case "lagging":
      title = t.edges.lagging(name, time);
      hint = t.edges.laggingHint(formatInteger(queued), queued === 1);
      break;
    case "skew":
      title = trouble.ahead ? t.edges.skewAhead(name, time) : t.edges.skewBehind(name, time);
      hint = t.edges.skewHint;
  }
  return (
    <section class={`notice edge ${trouble.kind}`}>
      <Warning />
      <p>
        <strong>{title}</strong> {hint}
      </p>
    </section>
  );
}
