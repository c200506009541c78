package enrich

import (
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// The properties of a request by a feed reader that fetches for many.
const (
	PropSubscribers = "subscribers" // how many readers it fetches for, as it says
	PropFeedID      = "feed_id"     // the reader's own number of the feed
)

// maxSubscribersDigits bounds the number that is believed: nobody has ten million
// readers, and the sum of what is believed is shown.
const maxSubscribersDigits = 7

// subscribers reads how many people a reader fetches a feed for, and the number
// that it has given the feed: "(12 subscribers; feed-id=34)". Source: the form
// that Bloglines began and hosted readers have kept. ua is in lower case.
func subscribers(ua string) []shared.Prop {
	count := ""
	for _, unit := range []string{" subscriber", " reader"} {
		at := strings.Index(ua, unit)
		if at < 0 {
			continue
		}
		start := at
		for start > 0 && ua[start-1] >= '0' && ua[start-1] <= '9' {
			start--
		}
		if at > start && at-start <= maxSubscribersDigits && (start == 0 || !alnum(ua[start-1])) {
			count = ua[start:at]
			break
		}
	}
	if count == "" {
		return nil
	}
	props := []shared.Prop{{Key: PropSubscribers, Value: strings.Clone(trimZeros(count)), Type: shared.PropNumber}}
	if id := feedID(ua); id != "" {
		props = append(props, shared.Prop{Key: PropFeedID, Value: id, Type: shared.PropString})
	}
	return props[:len(props):len(props)] // who appends to it copies it: it is shared
}

func trimZeros(digits string) string {
	if t := strings.TrimLeft(digits, "0"); t != "" {
		return t
	}
	return "0"
}

// feedID reads "feed-id=34", "feed-id:34", "feedid: 34".
func feedID(ua string) string {
	for _, key := range []string{"feed-id", "feedid"} {
		_, rest, ok := strings.Cut(ua, key)
		if !ok {
			continue
		}
		rest = strings.TrimLeft(rest, "=: ")
		end := 0
		for end < len(rest) && (alnum(rest[end]) || rest[end] == '-' || rest[end] == '_') {
			end++
		}
		return shared.Cut(strings.Clone(rest[:end]), shared.MaxShort)
	}
	return ""
}
