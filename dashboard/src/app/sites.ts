// Which of the sites is meant.

import type { Site } from "../api/types";

/**
 * findSite knows a site by its id, its UUID and each of its domains. Unasked it
 * stays with the one that is shown, as a new site may come before it in the
 * list, or takes the first that is in use.
 */
export function findSite(sites: readonly Site[], wanted: string | null, shown: string | null = null): Site | null {
  if (wanted === null) {
    return sites.find((site) => site.site_id === shown) ?? sites.find((site) => !site.archived) ?? sites[0] ?? null;
  }
  const lower = wanted.toLowerCase();
  return sites.find((site) => site.site_id === lower || site.uuid === lower || site.domains.includes(lower)) ?? null;
}
