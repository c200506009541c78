// Asks for the plain reports with Umami's own client: node umami.mjs API PASSWORD
// DOMAIN. What the site has is written down in aggregator/api's reports_test.go.

import assert from "node:assert/strict";
import { UmamiClient } from "@umami/api-client";

const [baseUrl, password, domain] = process.argv.slice(2);
const { token, user } = await new UmamiClient({ baseUrl }).login({ username: "admin", password });
assert.equal(user.isAdmin, true);
const client = new UmamiClient({ baseUrl, token });
assert.equal((await client.verify()).username, "admin");
assert.equal((await client.getMe()).user.id, user.id);
await assert.rejects(new UmamiClient({ baseUrl }).login({ username: "admin", password: "guess" }), { status: 401 });

const { data, count } = await client.listWebsites({ search: domain });
assert.equal(count, 1);
const websiteId = data[0].id;
assert.equal((await client.getWebsite({ websiteId })).domain, domain);

const range = await client.getWebsiteDateRange({ websiteId });
assert.ok(Date.parse(range.startDate) <= Date.parse(range.endDate));
const span = { websiteId, startAt: Date.UTC(2026, 10, 20), endAt: Date.UTC(2026, 10, 21) - 1 };

const stats = await client.getWebsiteStats(span);
assert.deepEqual(
  [stats.pageviews, stats.visitors, stats.visits, stats.bounces, stats.totaltime, stats.comparison.visitors],
  [3, 2, 2, 0, 4, 0],
);
const views = await client.getWebsitePageviews({ ...span, unit: "day", timezone: "Europe/Berlin" });
assert.deepEqual(views, { pageviews: [{ x: "2026-11-20 00:00:00", y: 3 }], sessions: [{ x: "2026-11-20 00:00:00", y: 2 }] });
assert.deepEqual(await client.getWebsiteMetrics({ ...span, type: "path" }), [{ x: "/", y: 2 }, { x: "/pricing", y: 1 }]);
assert.deepEqual(await client.getWebsiteMetrics({ ...span, type: "event" }), [{ x: "buy", y: 3 }]);
assert.deepEqual(await client.getWebsiteEventSeries({ ...span, unit: "day", timezone: "UTC" }), [{ x: "buy", t: "2026-11-20T00:00:00Z", y: 3 }]);
const sessions = await client.getWebsiteSessions({ ...span, pageSize: 10 });
assert.equal(sessions.count, 2);
assert.deepEqual(sessions.data.map((s) => s.views + s.events).sort(), [3, 3]);
assert.deepEqual(await client.getWebsiteActive({ websiteId }), { visitors: 0 });
