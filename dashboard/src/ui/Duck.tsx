// The mark: an eider on the water, drawn by hand on a grid of 48 by 32. What
// makes it an eider is the long wedge of forehead and bill, one line without a
// step; the green of the nape is the drake's.

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
  "M1 14.2c1.6 1.9 4 2.4 6.8 1.9 4.7-.9 8.4-2 12.7-1.7 2.3.2 3.7.7 5 .3 1.4-.4 1.9-1.7 1.9-3.5C27.4 6.1 30 3.2 34 3.2c2 0 3.6.6 5 1.7l7.3 6.3c1 .9.7 2.2-.6 2.4l-7.2.9c-1.4.2-2.1 1.1-1.9 2.6.9 7.5-3 11.9-10.4 11.9H14.3C6.3 29 1.4 23.4 1 14.2Z";
const NAPE = "M29 11.9c-.4-3.8 1.2-6.4 4.2-7.1-1.1 1.8-1.4 4.4-.8 7.7-1.1.4-2.5.2-3.4-.6Z";
