// A number, or the sign that nobody knows it: a dash for the eye, words for the
// ear. It is never a 0.

import { t } from "../text/en";

interface Props {
  value: number | null;
  format: (value: number) => string;
  /** The words; "not known" where nobody has better ones. */
  spoken?: string;
}

export function Known({ value, format, spoken = t.unknown.spoken }: Props) {
  if (value !== null) return <>{format(value)}</>;
  return (
    <span class="not-known">
      <span aria-hidden="true">{t.unknown.sign}</span>
      <span class="hidden">{spoken}</span>
    </span>
  );
}
