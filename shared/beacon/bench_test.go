package beacon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/cpu"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
	"github.com/eider-analytics/eider/shared/queue"
	"github.com/eider-analytics/eider/shared/registry"
)

// benchDoor is an intake before a real queue.
func benchDoor(b *testing.B) *Handler {
	q, err := queue.Open(queue.Config{Dir: b.TempDir(), ReserveFree: queue.MinReserve, Drop: queue.DropOldest})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Close(context.Background()) })
	var holder registry.Holder
	holder.Store(registry.NewView(&shared.EdgeState{Version: "1", SigningKey: []byte("k"), Sites: []shared.SiteConfig{
		{ID: "site", UUID: uuid, Domains: []string{"site.example"}, Identity: shared.IdentityDay, Privacy: shared.Privacy{DistinctIDs: true}},
	}, Salts: []shared.Salt{{
		Site: "site", Identity: shared.IdentityDay, From: time.Now().Add(-time.Hour).UnixMicro(), Until: time.Now().Add(20 * time.Hour).UnixMicro(),
	}}}))
	e, err := enrich.New(enrich.Config{Sites: &holder, Salts: &holder})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	return New(Config{
		View: holder.Load, Enrich: e.Enrich, CleanProps: e.CleanProps, Log: q, ClientIP: func(*http.Request) netip.Addr { return netip.MustParseAddr(visitor) },
		Keys: func(token string) (Grant, bool) { return nil, token == apiToken }, Limits: Limits{PerAddress: -1, PerSite: -1},
	}).At(Mount{})
}

// serverBatch is what a shop's server sends: as many events, each with a
// visitor of its own, a few properties and now and then a revenue.
func serverBatch(n int) []byte {
	var body bytes.Buffer
	body.WriteByte('[')
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"site":"site.example","name":"pageview","url":"https://site.example/articles/%d?utm_source=letter","time":"%s",`+
			`"dedupe_key":"order-%d","ip":"198.51.%d.%d","user_agent":%q,"language":"de-DE","props":{"plan":"pro","seats":%d}`,
			i%500, time.Now().UTC().Format(time.RFC3339), i, i/256%256, i%256, chrome, i%20)
		if i%10 == 0 {
			body.WriteString(`,"revenue":{"amount":"19.90","currency":"EUR"}`)
		}
		body.WriteByte('}')
	}
	body.WriteByte(']')
	return body.Bytes()
}

// BenchmarkServerBatch is POST /api/events with a thousand events over
// loopback, each answered once it is written to the queue.
func BenchmarkServerBatch(b *testing.B) {
	server := httptest.NewServer(benchDoor(b))
	defer server.Close()
	body := serverBatch(MaxServerBatch)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	begun, used := time.Now(), cpu.Own()
	events := 0
	for b.Loop() {
		req, _ := http.NewRequest(http.MethodPost, server.URL+"/api/events", bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+apiToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			b.Fatal(res.Status)
		}
		events += MaxServerBatch
	}
	b.ReportMetric(float64(events)/time.Since(begun).Seconds(), "events/s")
	b.ReportMetric(float64(events)/(cpu.Own()-used).Seconds(), "events/cpu-s")
}

// BenchmarkParse is what reading a message costs, by dialect.
func BenchmarkParse(b *testing.B) {
	plausible := []byte(`{"n":"pageview","u":"https://site.example/articles/5?utm_source=letter","d":"site.example","r":"https://news.example/","w":1440,"p":{"plan":"pro"}}`)
	send := umami("event", `,"hostname":"site.example","screen":"1440x900","language":"de-DE","title":"A%20title","url":"/articles/5?utm_source=letter","referrer":"https://news.example/"`)
	for name, parse := range map[string]func() error{
		"plausible": func() error { _, err := ParsePlausible(plausible); return err },
		"umami":     func() error { _, err := ParseUmami(send); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := parse(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
