// What to know of an answer that is a list, and so has no place for it: the
// header X-Eider-Caveat, a list of structured fields (RFC 9651):
//
//	no_identity;affects="visitors";message="Events without a visitor id are …"

import type { Caveat } from "./types";

export const CAVEAT_HEADER = "X-Eider-Caveat";

// A parameter that is no string is one of a newer server.
const PARAMETER = String.raw`; *([a-z*][a-z0-9_.*-]*)(?:=(?:"((?:[^"\\]|\\["\\])*)"|[^",; ]+))?`;
const PARAMETERS = new RegExp(PARAMETER, "g");
const MEMBER = new RegExp(String.raw`[ \t]*([A-Za-z*][\w!#$%&'*+.^|~:/-]*)((?:${PARAMETER})*)[ \t]*(?:,|$)`, "y");

/**
 * parseCaveats reads the header. One that can't be read is none: the numbers
 * are right without it.
 */
export function parseCaveats(header: string | null): Caveat[] {
  const caveats: Caveat[] = [];
  const text = header ?? "";
  MEMBER.lastIndex = 0;
  while (MEMBER.lastIndex < text.length) {
    const member = MEMBER.exec(text);
    if (!member) return [];
    const parameters = new Map<string, string>();
    for (const [, name = "", value = ""] of (member[2] ?? "").matchAll(PARAMETERS)) parameters.set(name, value.replace(/\\(.)/g, "$1"));
    caveats.push({
      reason: member[1] ?? "",
      affects: (parameters.get("affects") ?? "").split(" ").filter((name) => name !== ""),
      message: parameters.get("message") ?? "",
    });
  }
  return caveats;
}

/** sentencesOf are what caveats say, each once: two reasons may say the same. */
export function sentencesOf(caveats: readonly Caveat[]): string[] {
  return [...new Set(caveats.map((caveat) => caveat.message))].filter((message) => message !== "");
}

/** sentencesOn are those about any of the names, without those that stand elsewhere already. */
export function sentencesOn(caveats: readonly Caveat[], names: readonly string[], said: readonly Caveat[]): string[] {
  const about = caveats.filter((caveat) => caveat.affects.some((name) => names.includes(name)));
  return sentencesOf(about).filter((message) => !said.some((caveat) => caveat.message === message));
}
