// A document that was not found: which address, and (as of everything) who
// linked to it.
/** @type {any} */
const { responseStatus } = performance.getEntriesByType("navigation")[0];
if (responseStatus == 404 || responseStatus == 410) eider("404", { p: { path: location.pathname } });
