// What rows of the tables of all traffic are called.

import type { TrafficTable } from "../../api/types";
import { t, wordFor } from "../../text/en";
import { isUnknown, type Label, plain } from "../breakdown/label";

/** trafficLabel has words for the reasons by which bots without a name are known. */
export function trafficLabel(table: TrafficTable, value: string | null): Label {
  if (value === null || isUnknown(value)) return { text: t.breakdown.unknown, title: t.breakdown.unknown, special: true };
  const words = table === "bots" ? botReason(value) : undefined;
  return words ? { text: words, title: words, special: true } : plain(value);
}

/** botReason knows single reasons, and soft signs joined by "+". */
export function botReason(value: string): string | undefined {
  const signs = value.split("+").map((sign) => wordFor(t.traffic.botReason, sign));
  return signs.every((sign) => sign !== undefined) ? signs.join(", ") : undefined;
}
