// The mark: an eider on the water, drawn by hand on a grid of 48 by 32. What
// makes it an eider is the wedge of forehead and bill, one line without a step.

interface Props {
  class?: string;
}

export function Duck({ class: name }: Props) {
  return (
    <svg class={name} viewBox="0 0 48 32" aria-hidden="true" focusable="false">
      <path class="duck-body" d={BODY} />
      <path class="duck-nape" d={NAPE} />
    </svg>
  );
}

const BODY =
  "M2.2 15.2c1.5 1.3 3.6 1.8 6 1.5 4.2-.6 8-2.4 12.5-2.4 3.1 0 5.600.7 7.700.7 1.9 0 2.9-1.3 3-3.400.3-5 3.2-8.2 7-8.2 2.7 0 4.3 1.4 5.3 3.2l3.6 5.5c.5.8.2 1.6-.7 1.8l-6.7 1.3c-.9.2-1.300.9-1.1 1.900.4 1.700.5 3.200.2 4.7-.9 4.3-4.9 6.7-11.2 6.7H15.5c-7.3 0-12.3-5-13.3-13.3Z";
const NAPE = "M33.6 9.4c.8-2.3 2.5-3.7 4.6-3.7-.9 1.7-1.3 3.5-1.1 5.4-1.300.1-2.6-.5-3.5-1.7Z";
