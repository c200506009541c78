// How a number changed against the previous period.

export interface Change {
  /** Relative (0.12 = 12 % more), or the difference of two fractions. */
  amount: number;
  direction: "up" | "down" | "same";
  /** Whether the reader should be glad; a flat line is neither. */
  mood: "good" | "bad" | "neutral";
}

export type ChangeKind = "relative" | "points";

/**
 * computeChange is null where there is nothing to compare with: a number that
 * can't be computed, or growth from zero, which is no percentage.
 */
export function computeChange(
  current: number | null,
  previous: number | null | undefined,
  kind: ChangeKind,
  moreIsBetter: boolean,
): Change | null {
  if (current === null || previous === null || previous === undefined) return null;
  if (kind === "relative" && previous === 0) {
    return current === 0 ? { amount: 0, direction: "same", mood: "neutral" } : null;
  }
  const amount = kind === "points" ? current - previous : (current - previous) / previous;
  // What would be shown as 0 % is the same.
  if (Math.round(amount * 100) === 0) return { amount: 0, direction: "same", mood: "neutral" };
  const up = amount > 0;
  return { amount, direction: up ? "up" : "down", mood: up === moreIsBetter ? "good" : "bad" };
}
