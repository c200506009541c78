// Small signs, drawn on a grid of 16. Always beside a text or a label.

const stroke = {
  viewBox: "0 0 16 16",
  fill: "none",
  stroke: "currentColor",
  "stroke-width": "1.5",
  "stroke-linecap": "round",
  "stroke-linejoin": "round",
  "aria-hidden": "true",
  focusable: "false",
  class: "icon",
} as const;

export const ChevronDown = () => (
  <svg {...stroke}>
    <path d="m4 6.5 4 4 4-4" />
  </svg>
);

export const ChevronLeft = () => (
  <svg {...stroke}>
    <path d="m9.5 4-4 4 4 4" />
  </svg>
);

export const ChevronRight = () => (
  <svg {...stroke}>
    <path d="m6.5 4 4 4-4 4" />
  </svg>
);

export const Calendar = () => (
  <svg {...stroke}>
    <rect x="2.25" y="3.25" width="11.5" height="10.5" rx="2" />
    <path d="M2.5 6.75h11M5.5 1.75v2.5M10.5 1.75v2.5" />
  </svg>
);

export const Warning = () => (
  <svg {...stroke}>
    <path d="M8 5.75v3M8 11.25v.01M6.9 2.6 1.75 11.5a1.3 1.3 0 0 0 1.1 1.95h10.3a1.3 1.3 0 0 0 1.1-1.95L9.1 2.6a1.27 1.27 0 0 0-2.2 0Z" />
  </svg>
);

export const Arrow = ({ down }: { down: boolean }) => (
  <svg viewBox="0 0 10 10" class="arrow" aria-hidden="true" focusable="false">
    <path fill="currentColor" d={down ? "M5 8.5 1.2 2.7h7.6Z" : "M5 1.5 8.8 7.3H1.2Z"} />
  </svg>
);

export const Sun = () => (
  <svg {...stroke}>
    <circle cx="8" cy="8" r="2.75" />
    <path d="M8 1.5v1.25M8 13.25v1.25M1.5 8h1.25M13.25 8h1.25M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9" />
  </svg>
);

export const Moon = () => (
  <svg {...stroke}>
    <path d="M13.5 9.6A5.9 5.9 0 0 1 6.4 2.5a5.75 5.75 0 1 0 7.1 7.1Z" />
  </svg>
);

export const HalfMoon = () => (
  <svg {...stroke}>
    <circle cx="8" cy="8" r="5.75" />
    <path fill="currentColor" stroke="none" d="M8 2.25a5.75 5.75 0 0 1 0 11.5Z" />
  </svg>
);
