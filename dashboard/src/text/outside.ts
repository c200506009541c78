// Text from outside: names and paths that anybody can choose are shown as text,
// whatever they look like.

import type { Site } from "../api/types";

/**
 * visible shows control characters, direction overrides and what takes no room as
 * signs, so that a path can't pretend to be another one (\u202e turns the rest of
 * a line around).
 */
export function visible(value: string): string {
  return value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u2800\u3164\uffa0]/gu, (sign) => {
    const code = sign.codePointAt(0) ?? 0;
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : "\ufffd";
  });
}

/** siteName is what a site is called to its readers. */
export function siteName(site: Site): string {
  return visible(site.name || site.domains[0] || site.site_id);
}
