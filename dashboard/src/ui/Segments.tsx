// A row of choices of which one holds: radio buttons to the keyboard and to
// screen readers, one calm strip to the eye.

import type { ComponentChildren } from "preact";

interface Props<T extends string> {
  name: string;
  label: string;
  value: T | null;
  options: readonly { value: T; text: string; title?: string }[];
  onChoose: (value: T) => void;
  children?: ComponentChildren;
  class?: string;
}

export function Segments<T extends string>(props: Props<T>) {
  const { name, label, value, options, onChoose, children } = props;
  return (
    <div class={`segments ${props.class ?? ""}`}>
      <fieldset>
        <legend class="hidden">{label}</legend>
        {options.map((option) => (
          <label key={option.value} title={option.title} class={option.value === value ? "on" : ""}>
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={option.value === value}
              onChange={() => onChoose(option.value)}
            />
            <span>{option.text}</span>
          </label>
        ))}
      </fieldset>
      {children}
    </div>
  );
}
