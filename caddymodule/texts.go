package caddymodule

import (
	"unicode/utf8"
	"unsafe"

	"github.com/eider-analytics/eider/shared"
)

// texts is the room of one observation's texts: what is kept must not hold a
// connection's buffers, nor be read from a request that has ended. The room is
// used again and again, so that a page view allocates nothing for them.
//
// Hence whoever reads an observation in the ring keeps none of its strings: they
// are wiped and overwritten once it is worked off. The enrichment makes copies of
// what it remembers.
type texts struct{ room []byte }

// Room for the texts of most page views; rooms that a hostile client made larger
// than textsKept are not kept.
const (
	textsUsual = 512
	textsKept  = 2048
)

// Longest values that are kept of a request between handler and enrichment, in
// bytes. They bound what a hostile client can make the ring hold.
const (
	maxHost   = 300
	maxPath   = 2 * shared.MaxPath // decoded, before invalid UTF-8 is replaced
	maxURL    = 4096
	maxAgent  = 1024
	maxHeader = 256
	maxMethod = 16
)

// take replaces the strings of o, which are parts of the request's, by copies in
// the room.
func (t *texts) take(o *shared.Observation) {
	fields := [...]struct {
		text  *string
		limit int
	}{
		{&o.Host, maxHost},
		{&o.Path, maxPath},
		{&o.RawQuery, maxURL},
		{&o.Method, maxMethod},
		{&o.Protocol, maxMethod},
		{&o.ContentType, maxHeader},
		{&o.CacheStatus, maxHeader},
		{&o.UserAgent, maxAgent},
		{&o.AcceptLanguage, maxHeader},
		{&o.Referer, maxURL},
		{&o.SecFetchSite, maxMethod},
		{&o.CHUA, maxHeader},
		{&o.CHUAMobile, maxMethod},
		{&o.CHUAPlatform, maxHeader},
		{&o.CHUAPlatformVer, maxHeader},
		{&o.CHUAModel, maxHeader},
		{&o.Country, maxMethod},
		{&o.Region, maxMethod},
		{&o.City, maxHeader},
	}
	total := 0
	for i := range fields {
		f := &fields[i]
		if len(*f.text) > f.limit {
			*f.text = cut(*f.text, f.limit)
		}
		total += len(*f.text)
	}
	if cap(t.room) < total {
		t.room = make([]byte, 0, max(total, textsUsual))
	}
	room := t.room[:0]
	for i := range fields {
		if text := fields[i].text; *text != "" {
			room = append(room, *text...)
			*text = unsafe.String(&room[len(room)-len(*text)], len(*text))
		}
	}
	t.room = room
}

// wipe empties the room.
func (t *texts) wipe() {
	if cap(t.room) > textsKept {
		t.room = nil
	}
	clear(t.room)
	t.room = t.room[:0]
}

// cut shortens s, which is longer, to at most limit bytes, between characters
// where it has any.
func cut(s string, limit int) string {
	end := limit
	for end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
