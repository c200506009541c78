// Package stats answers questions about a site's traffic.
//
// It owns what the numbers mean: the closed registries of metrics, dimensions
// and filter operators, periods and buckets in the site's zone, and the one
// definition of a visit. The way of a question is
//
//	parameters or JSON -> [Query] -> tiers -> SQL text and arguments -> duck -> rows
//
// The tiers are rollups of sealed days, for what is a sum of days, and events.
// rollup.go defines what is summed up, by one SQL for both.
//
// It promises that text from outside is only ever an argument, never a part of
// SQL; that a number which can't be computed is null; and that every bucket of
// a range is in the answer. It refuses to know HTTP (package api) and how the
// files came to be (package lake).
//
// # What is counted
//
// Only people: rows whose verdict is person, likely or null. Their
// interactions are pageviews (kind pageview) and custom events (kind event).
// Visitors are the exact number of distinct visitor ids among the
// interactions; pageviews are rows of kind pageview. A row without a visitor id
// counts as a pageview and in no number of visitors: where all rows are such,
// that number is null. What else a site's privacy options make unanswerable is
// null, too, and a [Caveat] says why.
//
// A visit is a run of one visitor's interactions with no gap of more than 30
// minutes. It belongs to the day and range in which its first event lies, and goes
// on until [Margin] after the end of that day of the site at the latest: what
// comes then begins the next one. So a visit is the same whatever range and zone
// is asked for. Its pageviews, events and times are those of the whole visit,
// also where it goes on after the range's end. A visit that began before the range
// is not a visit of the range, though its pageviews and its visitor count in it.
//
// A bounce is a visit of one pageview and nothing else. Views per visit are the
// pageviews of the range's visits, divided by these visits.
//
// Dimensions are of the event (page, browser, country …) or of the visit
// (source, channel, campaign, entry page …): each of a visit's pageviews counts
// for the value of the visit's first event. Events are ordered by time, at the
// same microsecond by sequence. A filter on a dimension of the event selects
// events; a visit then counts if one of its events in the range was selected,
// with all of its events. A filter on a dimension of the visit selects visits.
package stats
