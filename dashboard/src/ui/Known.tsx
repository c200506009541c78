// A number, or the sign that nobody knows it: a dash for the eye, words for the
// ear. It is never a 0.

import { t } from "../text/en";

interface Props {
  value: number | null;
  format: (value: number) => string;
}

export function Known({ value, format }: Props) {
  if (value !== null) return <>{format(value)}</>;
  return (
    <span class="not-known">
      <span aria-hidden="true">{t.unknown.sign}</span>
      <span class="hidden">{t.unknown.spoken}</span>
    </span>
  );
}
