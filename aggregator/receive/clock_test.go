package receive

import (
	"fmt"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

func TestTimesAreCorrectedOnlyForTheSendersClock(t *testing.T) {
	received := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro()
	at := func(d time.Duration) int64 { return received + d.Microseconds() }
	day := 24 * time.Hour
	for _, c := range []struct {
		name   string
		skew   time.Duration // of the sender's clock
		up     time.Duration // since its process began; 0 = not known
		origin shared.Origin
		event  time.Duration // by the sender's clock, relative to our now
		want   time.Duration
		how    adjustment
	}{
		{"now", 0, day, shared.OriginEdge, 0, 0, adjustNone},
		{"queued for three days", 0, 4 * day, shared.OriginEdge, -3 * day, -3 * day, adjustNone},
		{"queued by an earlier process", 0, 0, shared.OriginEdge, -30 * day, -30 * day, adjustNone},
		{"a minute off is left alone", time.Minute, day, shared.OriginEdge, time.Minute, time.Minute, adjustNone},
		{"an hour fast", time.Hour, day, shared.OriginEdge, time.Hour, 0, adjustCorrected},
		{"an hour slow", -time.Hour, day, shared.OriginEdge, -time.Hour, 0, adjustCorrected},
		{"a day fast, queued for an hour", day, 2 * day, shared.OriginEdge, day - time.Hour, -time.Hour, adjustCorrected},
		{"in the future by its own clock", 0, day, shared.OriginEdge, time.Hour, 0, adjustClamped},
		{"nine minutes ahead", 0, day, shared.OriginEdge, 9 * time.Minute, 9 * time.Minute, adjustNone},
		{"the clock was set since: before the process began", 0, time.Minute, shared.OriginEdge, -day, -time.Minute, adjustClamped},
		{"a minute before the process began", 0, time.Minute, shared.OriginEdge, -2 * time.Minute, -2 * time.Minute, adjustNone},
		{"imports bring their own times", 0, time.Minute, shared.OriginImport, -400 * day, -400 * day, adjustNone},
		{"servers bring their own times", time.Hour, time.Minute, shared.OriginAPI, -day, -day, adjustNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := clock{receivedAt: received, skewMS: c.skew.Milliseconds()}
			if c.up != 0 {
				k.notBefore = at(-c.up)
			}
			e := shared.Event{Origin: c.origin, Time: at(c.event)}
			how, ok := k.settle(&e)
			if !ok || how != c.how || e.Time != at(c.want) {
				t.Errorf("%v %v, %s off, want %d", ok, how, time.Duration(e.Time-at(c.want))*time.Microsecond, c.how)
			}
		})
	}
}

// Of an event whose site keeps only the hour, nothing that is stored says more.
func TestHoursStayHours(t *testing.T) {
	received := time.Date(2026, 3, 1, 12, 47, 11, 123_456_000, time.UTC).UnixMicro()
	hour := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro()
	const minute = 60 * 1_000_000
	for _, c := range []struct {
		name      string
		time      int64
		skew      time.Duration
		notBefore int64
		want      int64
		origin    shared.Origin
		coarse    bool
	}{
		{"an hour", hour, 0, 0, hour, shared.OriginEdge, true},
		{"of a process that began within it", hour, 0, received - minute, hour, shared.OriginBeacon, true},
		{"of a zone of quarters", hour + 45*minute, 0, 0, hour + 45*minute, shared.OriginEdge, true},
		{"by a clock that is off", hour + 60*minute, time.Hour + 1234*time.Millisecond, 0, hour, shared.OriginEdge, true},
		{"a full time", hour + 1, 0, 0, hour + 1, shared.OriginEdge, false},
		{"a log's", hour, 0, 0, hour, shared.OriginImport, false},
	} {
		d := decision{clock: clock{receivedAt: received, skewMS: c.skew.Milliseconds(), notBefore: c.notBefore}, siteName: "s", siteID: "s", out: new(decided)}
		e := shared.Event{Site: "s", Kind: shared.KindPageview, Origin: c.origin, Time: c.time}
		if why := d.settle(&e); why != "" || e.Time != c.want {
			t.Errorf("%s: %q %s", c.name, why, time.UnixMicro(e.Time).UTC())
		}
		if coarse := e.ReceivedAt%(4*quarter) == 0 && !e.SkewMS.OK; coarse != c.coarse {
			t.Errorf("%s: received %s, skew %v", c.name, time.UnixMicro(e.ReceivedAt).UTC(), e.SkewMS)
		}
	}
}

func TestAnEdgeWhoseClockIsIn1970(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	e.offset = -time.Since(time.Unix(1000, 0))
	g.hello(e)
	before := time.Now().Add(-time.Second)
	ack := g.mustAck(e, 3, e.frame(1, 3, nil))
	if len(ack.Rejected) != 0 {
		t.Fatalf("%+v", ack.Rejected)
	}
	g.settle()
	for _, ev := range g.sink.events() {
		if at := time.UnixMicro(ev.Time); at.Before(before) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("event at %s", at)
		}
		if !ev.SkewMS.OK || ev.SkewMS.V > -int64(40*365*24*time.Hour/time.Millisecond) || ev.ReceivedAt == 0 || ev.SiteID != "example-com" {
			t.Errorf("%+v", ev)
		}
	}
}

func TestTimesBeyondSenseAreRefused(t *testing.T) {
	for _, at := range []int64{1<<63 - 1, -1 << 63, 1 << 59} {
		e := shared.Event{Origin: shared.OriginEdge, Time: at}
		for _, skew := range []int64{0, 1 << 50, -(1 << 50)} {
			k := clock{receivedAt: 1e15, skewMS: skew}
			if _, ok := k.settle(&e); ok {
				t.Errorf("%s was taken", fmt.Sprint(at))
			}
		}
	}
}
