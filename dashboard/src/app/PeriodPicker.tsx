// The period: the usual ones in one strip, any other by two dates.

import { useEffect, useRef, useState } from "preact/hooks";
import { customPeriod } from "../state/view";
import { addDays, type CivilDate, isCivilDate } from "../time/civil";
import { type DateRange, type Period, type Preset, PRESETS } from "../time/period";
import { t } from "../text/en";
import { Calendar } from "../ui/icons";
import { Segments } from "../ui/Segments";

interface Props {
  period: Period;
  /** What the period covers; null for all time. */
  range: DateRange | null;
  today: CivilDate;
  open: boolean;
  onOpen: (open: boolean) => void;
  onChoose: (period: Period) => void;
}

export function PeriodPicker(props: Props) {
  const { period, open, onOpen, onChoose } = props;
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const dates = period.kind === "day" || period.kind === "custom";

  useEffect(() => {
    if (!open) return;
    const onPointer = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) onOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      onOpen(false);
      button.current?.focus();
    };
    addEventListener("pointerdown", onPointer);
    addEventListener("keydown", onKey);
    return () => {
      removeEventListener("pointerdown", onPointer);
      removeEventListener("keydown", onKey);
    };
  }, [open, onOpen]);

  const choose = (next: Period) => {
    onOpen(false);
    button.current?.focus();
    onChoose(next);
  };

  return (
    <div class="period-picker" ref={box}>
      <Segments
        name="period"
        label={t.period.label}
        value={dates ? null : (period.kind as Preset)}
        options={PRESETS.map((kind) => ({ value: kind, text: t.period[kind].short, title: t.period[kind].long }))}
        onChoose={(kind) => onChoose({ kind })}
      >
        <button
          type="button"
          ref={button}
          class={`dates ${dates ? "on" : ""}`}
          aria-expanded={open}
          aria-label={t.period.dates}
          title={t.period.dates}
          onClick={() => onOpen(!open)}
        >
          <Calendar />
        </button>
      </Segments>
      {open && <Dates {...props} onChoose={choose} />}
    </div>
  );
}

function Dates({ range, today, onChoose }: Props) {
  const [from, setFrom] = useState(range?.from ?? addDays(today, -29));
  const [to, setTo] = useState(range?.to ?? today);
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => first.current?.focus(), []);
  const valid = isCivilDate(from) && isCivilDate(to);
  const onSubmit = (event: Event) => {
    event.preventDefault();
    if (valid) onChoose(customPeriod(from, to));
  };
  return (
    <form class="popover" aria-label={t.period.dates} onSubmit={onSubmit}>
      <button type="button" class="row" ref={first} onClick={() => onChoose({ kind: "day", date: addDays(today, -1) })}>
        {t.period.yesterday} <kbd>e</kbd>
      </button>
      <div class="fields">
        <label>
          {t.period.from}
          <input type="date" name="from" required max={today} value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label>
          {t.period.to}
          <input type="date" name="to" required max={today} value={to} onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
      </div>
      <button type="submit" class="primary" disabled={!valid}>
        {t.period.apply}
      </button>
    </form>
  );
}
