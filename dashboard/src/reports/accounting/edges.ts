// What the books of the edges say to a reader: who is late, and whose clock is
// wrong. Everything else in them is for operators.

import type { EdgeAccount } from "../../api/types";

export type EdgeTrouble =
  | { kind: "silent" | "lagging"; edge: EdgeAccount; seconds: number }
  | { kind: "skew"; edge: EdgeAccount; seconds: number; ahead: boolean };

/** Below this an edge is as fresh as the page promises, give or take a retry. */
const LAGGING_MS = 15_000;
/** An edge that says nothing for this long has stopped, or can't reach us. */
const SILENT_MS = 10 * 60_000;
/** From here on the aggregator corrects times. */
const SKEW_MS = 120_000;

export function edgeTroubles(edges: readonly EdgeAccount[]): EdgeTrouble[] {
  return edges.flatMap((edge): EdgeTrouble[] => {
    const troubles: EdgeTrouble[] = [];
    const lag = edge.lag_ms ?? 0;
    if (lag >= SILENT_MS) troubles.push({ kind: "silent", edge, seconds: lag / 1000 });
    else if (lag >= LAGGING_MS && edge.queued > 0) troubles.push({ kind: "lagging", edge, seconds: lag / 1000 });
    const skew = edge.clock_skew_ms ?? 0;
    if (Math.abs(skew) >= SKEW_MS) troubles.push({ kind: "skew", edge, seconds: Math.abs(skew) / 1000, ahead: skew > 0 });
    return troubles;
  });
}

/** edgeName is what people call it, or enough of its id to tell it apart. */
export function edgeName(edge: EdgeAccount): string {
  return edge.name || edge.edge.slice(0, 8);
}
