// What the books of the edges say to a reader: who is late, and whose clock is
// wrong. Everything else in them is for operators.

import type { EdgeAccount } from "../../api/types";

export interface EdgeTrouble {
  kind: "silent" | "lagging" | "fast" | "slow";
  edge: EdgeAccount;
  seconds: number;
}

/** Below this an edge is as fresh as the page promises, give or take a retry. */
const LAGGING_MS = 15_000;
/** A lag says something only while batches come: the last one's stays for ever. */
const RECENT_MS = 60_000;
/** An edge that still owes events and says nothing for this long can't reach us. */
const SILENT_MS = 10 * 60_000;
/** From here on the aggregator corrects times. */
const SKEW_MS = 120_000;

/**
 * edgeTroubles lists what is worth a sentence. An edge without traffic is as
 * quiet as a dead one; only what it still owes tells them apart.
 */
export function edgeTroubles(edges: readonly EdgeAccount[], now: number): EdgeTrouble[] {
  return edges.flatMap((edge): EdgeTrouble[] => {
    const troubles: EdgeTrouble[] = [];
    const lag = edge.lag_ms ?? 0;
    const silence = edge.last_seen === null ? null : now - Date.parse(edge.last_seen);
    if (silence !== null && silence >= SILENT_MS && edge.queued > 0) {
      troubles.push({ kind: "silent", edge, seconds: silence / 1000 });
    } else if (lag >= LAGGING_MS && (silence === null || silence < RECENT_MS)) {
      troubles.push({ kind: "lagging", edge, seconds: lag / 1000 });
    }
    const skew = edge.clock_skew_ms ?? 0;
    if (Math.abs(skew) >= SKEW_MS) {
      troubles.push({ kind: skew > 0 ? "fast" : "slow", edge, seconds: Math.abs(skew) / 1000 });
    }
    return troubles;
  });
}

/** edgeName is what people call it, or enough of its id to tell it apart. */
export function edgeName(edge: EdgeAccount): string {
  return edge.name || edge.edge.slice(0, 8);
}
