package aggregator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/registry"
)

// clock is the salts' time.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) pass(d time.Duration) { c.offset.Add(int64(d)) }

// ask is GET /v1/edge, or POST with a report; nil = 304.
func (r *running) ask(token, etag, report string) (*shared.EdgeState, string) {
	r.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if report != "" {
		method, body = http.MethodPost, strings.NewReader(report)
	}
	req, err := http.NewRequest(method, r.url+shared.PathEdge, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("If-None-Match", etag)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified {
		return nil, res.Header.Get("ETag")
	}
	var st shared.EdgeState
	if err := json.NewDecoder(res.Body).Decode(&st); err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s, %v", res.Status, err)
	}
	return &st, res.Header.Get("ETag")
}

// plant writes a file of salts whose current one is known.
func plant(t *testing.T, dir, siteID string, key []byte, now time.Time) {
	t.Helper()
	midnight := now.UTC().Truncate(24 * time.Hour)
	body := fmt.Sprintf(`{"id":"planted","signing":{"key":"%s","until":%d},"sites":{%q:[{"key":"%s","from":%d,"until":%d,"identity":"day"}]}}`,
		base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)), midnight.Add(24*time.Hour).UnixMicro(), siteID,
		base64.StdEncoding.EncodeToString(key), midnight.UnixMicro(), midnight.Add(24*time.Hour).UnixMicro())
	text := fmt.Sprintf("eider-salts 1 %x\n%s\n", sha256.Sum256([]byte(body)), body)
	if err := os.WriteFile(filepath.Join(dir, "salts"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// spellings are the ways in which somebody could have written a key down.
func spellings(key []byte) map[string][]byte {
	list := map[string][]byte{
		"raw": key, "hex": []byte(hex.EncodeToString(key)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(key))),
		"numbers": []byte(strings.Trim(strings.ReplaceAll(fmt.Sprint(key), " ", ","), "[]")), "printed": []byte(strings.Trim(fmt.Sprint(key), "[]")),
	}
	for shift := range 3 { // base64 depends on where in a text the key stands
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), key...))
		text = strings.TrimRight(text, "=")
		text = text[2*shift : len(text)-2]
		list[fmt.Sprint("base64 ", shift)] = []byte(text)
		list[fmt.Sprint("base64url ", shift)] = []byte(strings.NewReplacer("+", "-", "/", "_").Replace(text))
	}
	return list
}

// found greps every file below dir for a key.
func found(t *testing.T, dir string, key []byte) (where []string) {
	t.Helper()
	want := spellings(key)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for how, text := range want {
			if bytes.Contains(b, text) {
				where = append(where, filepath.Base(path)+" "+how)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return where
}

// TestSaltsEnd plants a salt, works with it, rotates, lets 48 hours pass, and
// greps the data directory and the log for it: state, spool, lake, salts.
func TestSaltsEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	err := Operate(t.Context(), Config{Data: dir}, zap.NewNop(), func(ctx context.Context, c ops.Control) error {
		_, err := c.AddSite(ctx, "example.com", sites.Change{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(0xd0 + 3*i)
	}
	c := &clock{}
	plant(t, dir, "example-com", key, c.now())
	core, logs := observer.New(zapcore.DebugLevel)
	r := runWith(t, Config{Data: dir, Listen: "127.0.0.1:0", now: c.now}, zap.New(core))
	e := &edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}
	r.hello(e, "example.com")
	st, _ := r.ask(r.token, "", "")
	if len(st.Salts) < 2 || !bytes.Equal(st.Salts[0].Key[:], key) {
		t.Fatalf("the planted salt is not handed out: %d salts", len(st.Salts))
	}
	others := [][]byte{bytes.Repeat([]byte{7}, 32)} // the signing key
	for _, salt := range st.Salts[1:] {
		others = append(others, bytes.Clone(salt.Key[:]))
	}
	r.send(e, "example.com", 1, 50)
	if where := found(t, dir, key); len(where) != 1 || !strings.HasPrefix(where[0], "salts ") {
		t.Errorf("while it is in use, the salt is in %q", where)
	}
	for range 12 { // six days in steps of half a day
		c.pass(12 * time.Hour)
		r.ask(r.token, "", "")
		r.send(e, "example.com", 1, 10)
	}
	if st, _ := r.ask(r.token, "", ""); len(st.Salts) < 2 || st.Salts[0].From < c.now().Add(-50*time.Hour).UnixMicro() {
		t.Fatalf("after six days the salts are %v", st.Salts)
	}
	r.eventually("a segment", func() bool { return r.visitors("example.com") == "50 visitors, 170 pageviews" })
	check := func(when string) {
		t.Helper()
		for i, k := range append([][]byte{key}, others...) {
			if where := found(t, dir, k); len(where) > 0 {
				t.Errorf("%s, key %d is in %q", when, i, where)
			}
			for how, text := range spellings(k) {
				for _, entry := range logs.All() {
					if strings.Contains(fmt.Sprint(entry.Message, entry.ContextMap()), string(text)) {
						t.Errorf("%s, key %d is in the log as %s: %s", when, i, how, entry.Message)
					}
				}
			}
		}
	}
	check("while it runs")
	r.stop()
	check("after the stop")
	if report := verify(t, dir); len(report.Problems) > 0 {
		t.Errorf("verify: %+v", report)
	}
}

// TestIdentityChanged: a start without the salts that were in use makes new
// ones and says so, once.
func TestIdentityChanged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	changes := func(r *running) int {
		t.Helper()
		_, body := r.get("/api/stats/accounting?period=today&site_id=example.com")
		var a struct {
			Incomplete      []any    `json:"incomplete"`
			IdentityChanged []string `json:"identity_changed"`
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Incomplete) != 0 {
			t.Fatalf("%s, %v", body, err)
		}
		return len(a.IdentityChanged)
	}
	r := run(t, dir)
	r.hello(&edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}, "example.com")
	first, _ := r.ask(r.token, "", "")
	if n := changes(r); n != 0 {
		t.Errorf("a first start says that identities changed, %d times", n)
	}
	r.stop()
	r = run(t, dir)
	if st, _ := r.ask(r.token, "", ""); st.Salts[0] != first.Salts[0] || !bytes.Equal(st.SigningKey, first.SigningKey) {
		t.Error("a restart changed the salts")
	}
	if n := changes(r); n != 0 {
		t.Errorf("a restart says that identities changed, %d times", n)
	}
	r.stop()
	if err := os.Remove(filepath.Join(dir, "salts")); err != nil {
		t.Fatal(err)
	}
	r = run(t, dir)
	if st, _ := r.ask(r.token, "", ""); st.Salts[0].Key == first.Salts[0].Key {
		t.Error("a lost salt is back")
	}
	if n := changes(r); n != 1 {
		t.Errorf("after the loss it says so %d times", n)
	}
	r.stop()
	r = run(t, dir)
	if n := changes(r); n != 1 {
		t.Errorf("after another restart it says so %d times", n)
	}
}

// TestEdgeKeys: a bound token sees and may send what is its own, the view in
// the process follows, and unknown hosts are offered.
func TestEdgeKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := run(t, dir)
	r.hello(&edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}, "a.example", "b.example")
	all, etag := r.ask(r.token, "", "")
	if len(all.Sites) != 2 || len(all.Salts) < 4 || len(all.SigningKey) != 32 {
		t.Fatalf("the shared token sees %d sites, %d salts", len(all.Sites), len(all.Salts))
	}
	if st, same := r.ask(r.token, etag, ""); st != nil || same != etag {
		t.Errorf("unchanged, it is sent again as %s", same)
	}
	var key auth.Issued
	err := Operate(t.Context(), Config{Data: dir}, zap.NewNop(), func(ctx context.Context, c ops.Control) error {
		var err error
		key, err = c.AddKey(ctx, auth.New{Edge: "shop", Sites: []string{"a.example"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	bound, tag := r.ask(key.Token, etag, `{"unknown_hosts":[{"host":"c.example","requests":5,"last_seen":1}]}`)
	if bound == nil || tag == etag || len(bound.Sites) != 1 || bound.Sites[0].ID != "a-example" || len(bound.Salts) != len(all.Salts)/2 {
		t.Fatalf("the bound token sees %+v", bound)
	}
	everybody := r.token
	r.token = key.Token
	e := &edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}
	reply := r.hello(e, "a.example", "b.example", "new.example")
	if len(reply.Sites) != 3 || reply.Sites[0].SiteID == "" || reply.Sites[1].Error == "" || reply.Sites[2].Error == "" {
		t.Errorf("the bound token's sites became %+v", reply.Sites)
	}
	if ack := r.send(e, "a.example", 1, 2); len(ack.Rejected) != 0 {
		t.Errorf("its own events: %+v", ack)
	}
	if ack := r.send(e, "b.example", 1, 2); len(ack.Rejected) != 2 || ack.Rejected[0].Reason != shared.RejectSiteDenied {
		t.Errorf("another site's events: %+v", ack)
	}
	r.token = everybody
	reply = r.hello(&edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}, "d.example")
	for deadline := time.Now().Add(time.Second); r.registry.Load().Site("d.example") == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the view does not have a new site within a second")
		}
	}
	if _, ok := r.registry.Load().Salt(reply.Sites[0].SiteID, time.Now().UnixMicro()); !ok {
		t.Error("a new site has no salt in the view")
	}
	// A host that was seen long ago is forgotten; one that was seen now is offered.
	r.ask(r.token, "", fmt.Sprintf(`{"unknown_hosts":[{"host":"WWW.c.example:443","requests":7,"last_seen":%d},{"host":"a.example","requests":9,"last_seen":%[1]d}]}`, time.Now().UnixMicro()))
	if _, body := r.get("/api/sites/unknown"); !strings.HasPrefix(body, `[{"host":"c.example","requests":12,`) || strings.Contains(body, "a.example") {
		t.Errorf("unknown are %s", body)
	}
	owner, err := os.ReadFile(r.OwnerPath())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(r.OwnerPath()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the owner's token has mode %v, %v", info.Mode(), err)
	}
	req, err := http.NewRequest(http.MethodDelete, r.url+"/api/keys/"+key.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(owner)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the owner revokes the key: %s", res.Status)
	}
	req, _ = http.NewRequest(http.MethodGet, r.url+shared.PathEdge, nil)
	req.Header.Set("Authorization", "Bearer "+key.Token)
	if res, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a revoked token: %s", res.Status)
	}
}

// TestServersSendWithAKey: POST /api/events asks for a key that is for the site.
func TestServersSendWithAKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := run(t, dir)
	r.hello(&edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}, "a.example", "b.example")
	key := func(n auth.New) string {
		t.Helper()
		k, err := r.store.AddKey(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return k.Token
	}
	ingest := key(auth.New{Scopes: []string{"ingest"}, Sites: []string{"a.example"}})
	reader := key(auth.New{Scopes: []string{"stats:read"}})
	r.eventually("the sites are known to the intake", func() bool { return r.registry.Load().Site("b.example") != nil })
	for _, c := range []struct {
		token, site string
		want        int
		says        string
	}{
		{"", "a.example", http.StatusUnauthorized, "ingest"},
		{"wrong", "a.example", http.StatusUnauthorized, "ingest"},
		{reader, "a.example", http.StatusUnauthorized, "ingest"},
		{ingest, "a.example", http.StatusAccepted, `"accepted":1`},
		{ingest, "b.example", http.StatusBadRequest, "not for this site"},
	} {
		body := fmt.Sprintf(`[{"name":"order","site":%q,"url":"https://%s/"}]`, c.site, c.site)
		res, answer := r.collect("/api/events", body, "Content-Type", "application/json", "Authorization", "Bearer "+c.token)
		if res.StatusCode != c.want || !strings.Contains(answer, c.says) {
			t.Errorf("a token of %d bytes for %s: %d %s, want %d %s", len(c.token), c.site, res.StatusCode, answer, c.want, c.says)
		}
	}
}

// TestAnEdgeTakesTheAnswer: the client that edges and collectors ask with has
// sites and salts from its first question on, and reports hosts.
func TestAnEdgeTakesTheAnswer(t *testing.T) {
	r := run(t, filepath.Join(t.TempDir(), "data"))
	r.hello(&edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}, "a.example", "b.example")
	issued, err := r.store.AddKey(t.Context(), auth.New{Edge: "shop", Sites: []string{"a.example"}})
	if err != nil {
		t.Fatal(err)
	}
	var holder registry.Holder
	hosts := &registry.Hosts{}
	hosts.Seen("new.example")
	client, err := registry.NewClient(registry.ClientConfig{URL: r.url, Token: issued.Token, Version: "test", Holder: &holder, Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = client.Run(ctx) }()
	defer func() { cancel(); <-done }()
	r.eventually("the site is known", func() bool { return holder.Load().Site("a.example") != nil })
	own, edges := r.registry.Load(), holder.Load()
	id := edges.Site("a.example").ID
	now := time.Now()
	for _, at := range []time.Time{now, now.Add(24 * time.Hour)} {
		want, ok1 := own.Salt(id, at.UnixMicro())
		got, ok2 := edges.Salt(id, at.UnixMicro())
		if !ok1 || !ok2 || got != want {
			t.Errorf("the salts of %s differ: %v, %v", at, ok1, ok2)
		}
	}
	if edges.Site("b.example") != nil {
		t.Error("it sees another's site")
	}
	want, _ := own.TokenKey(id)
	if got, ok := edges.TokenKey(id); !ok || got != want {
		t.Error("it signs tokens with another key")
	}
	if _, ok := edges.TokenKey("b-example"); ok {
		t.Error("it can sign another site's tokens")
	}
	if list := r.keeper.Unknown(); len(list) != 1 || list[0].Host != "new.example" {
		t.Errorf("unknown are %+v", list)
	}
	if status := client.Status(); status.Trouble != "" {
		t.Errorf("trouble: %s", status.Trouble)
	}
}
