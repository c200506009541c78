// What became of the requests, in the few groups that a reader can take in at
// once. The results are the proxy's closed list; one that this page does not
// know yet is shown by its own name, or the shares would not sum to all.

export const GROUPS = ["pages", "bots", "errors", "files", "parts", "other"] as const;
export type Group = (typeof GROUPS)[number];

/** The group of every result that is in no other is "other". */
const GROUP_OF: ReadonlyMap<string, Group> = new Map<string, Group>([
  ["pageview", "pages"],
  ["bot", "bots"],
  ["error", "errors"],
  ["failed", "errors"],
  ["download", "files"],
  ["feed", "files"],
  ["asset", "parts"],
  ["subrequest", "parts"],
  ["frame", "parts"],
  ["fragment", "parts"],
]);

export interface ResultRow {
  result: string;
  group: Group;
  requests: number;
}

/** resultRows lists what there was, the most frequent first. */
export function resultRows(results: ReadonlyMap<string, number>): ResultRow[] {
  return [...results]
    .filter(([, requests]) => requests > 0)
    .map(([result, requests]) => ({ result, group: GROUP_OF.get(result) ?? ("other" as const), requests }))
    .sort((a, b) => b.requests - a.requests || (a.result < b.result ? -1 : 1));
}

export interface GroupSum {
  group: Group;
  requests: number;
}

/** groupSums has every group, also those without a request. */
export function groupSums(results: ReadonlyMap<string, number>): GroupSum[] {
  const rows = resultRows(results);
  return GROUPS.map((group) => ({
    group,
    requests: rows.reduce((sum, row) => (row.group === group ? sum + row.requests : sum), 0),
  }));
}
