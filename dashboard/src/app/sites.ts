// Which of the sites is meant.

import type { Site } from "../api/types";

/** findSite knows a site by its id, its UUID and each of its domains; unasked it takes the first that is in use. */
export function findSite(sites: readonly Site[], wanted: string | null): Site | null {
  if (wanted === null) return sites.find((site) => !site.archived) ?? sites[0] ?? null;
  const lower = wanted.toLowerCase();
  return sites.find((site) => site.site_id === lower || site.uuid === lower || site.domains.includes(lower)) ?? null;
}
