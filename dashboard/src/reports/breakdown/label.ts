// What a row is called.

import type { Dimension } from "../../api/types";
import { t, wordFor } from "../../text/en";
import { countryName } from "../../text/format";
import { visible } from "../../text/outside";

export interface Label {
  text: string;
  /** The country's code, shown before its name. */
  code?: string;
  title: string;
  /** No value of its own: unknown, or none. */
  special: boolean;
}

const UNKNOWN = "(unknown)";

export function isUnknown(value: string | null | undefined): boolean {
  return value === null || value === undefined || value === "" || value === UNKNOWN;
}

export function labelOf(dimension: Dimension, value: string | null): Label {
  if (isUnknown(value) || value === null) {
    const text = dimension === "sources" ? t.breakdown.direct : t.breakdown.unknown;
    return { text, title: text, special: true };
  }
  if (dimension === "sources" && value === t.breakdown.direct) return { text: value, title: value, special: true };
  if (dimension === "devices") return plain(wordFor(t.breakdown.device, value.toLowerCase()) ?? value);
  if (dimension === "countries") {
    const name = countryName(value);
    return name ? { text: name, code: value, title: name, special: false } : plain(value);
  }
  return plain(value);
}

export function plain(value: string): Label {
  // A page does not show spaces that are at an end or follow another.
  const text = visible(value.replace(/^ +| +$| {2,}/g, (spaces) => "\u2420".repeat(spaces.length)));
  return { text, title: text, special: false };
}
