package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/cpu"
)

const batchSize = 1000

// batches measures POST /api/events of a whole aggregator: each batch is
// answered once it is durable in the spool.
func batches(ctx context.Context, eider string, d time.Duration, senders int) error {
	dir, err := os.MkdirTemp("", "eider-bench-batches-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	data := filepath.Join(dir, "data")
	command := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, eider, append(args, "--data", data)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("eider %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return string(out), err
	}
	if _, err := command("site", "add", "bench.example"); err != nil {
		return err
	}
	out, err := command("key", "add", "--scope", "ingest", "--name", "bench")
	if err != nil {
		return err
	}
	key := ""
	for word := range strings.FieldsSeq(out) {
		if strings.HasPrefix(word, "eider_") {
			key = word
		}
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return err
	}
	server, err := child.Start(ctx, child.Config{
		Name: "eider", Path: eider, Args: []string{"serve", "--data", data, "--listen", addr}, Ready: "http://" + addr + "/health/ready",
		Env: append(os.Environ(), "EIDER_RATE_PER_SITE=100000000"),
	})
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop(15 * time.Second) }()

	var sent atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, senders)
	bodies := make([][]byte, 4*senders) // written before, so that this process takes little of the machine
	for i := range bodies {
		bodies[i] = batch(i)
	}
	before, err := cpu.Of(server.Pid())
	if err != nil {
		return err
	}
	begun := time.Now()
	for i := range senders {
		all.Go(func() {
			for n := 0; time.Since(begun) < d && errs[i] == nil; n++ {
				errs[i] = post(ctx, "http://"+addr+"/api/events", key, bodies[(i+n*senders)%len(bodies)])
				sent.Add(batchSize)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	after, err := cpu.Of(server.Pid())
	if err != nil {
		return err
	}
	events := float64(sent.Load())
	fmt.Printf("batches of %d by %d senders: %.0f events/s durable (goal: 100,000), %.0f a CPU second of the aggregator\n",
		batchSize, senders, events/time.Since(begun).Seconds(), events/(after-before).Seconds())
	return nil
}

func batch(n int) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range batchSize {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"site":"bench.example","name":"pageview","url":"https://bench.example/articles/%d?utm_source=letter","time":"%s","dedupe_key":"%d-%d",`+
			`"ip":"198.51.%d.%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",`+
			`"language":"de-DE","props":{"plan":"pro","seats":%d}}`,
			i%500, time.Now().UTC().Format(time.RFC3339), n, i, n%256, i%256, i%20)
	}
	b.WriteByte(']')
	return b.Bytes()
}

func post(ctx context.Context, url, key string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusAccepted || !bytes.Contains(answer, []byte(`"accepted":`+strconv.Itoa(batchSize)))) {
		err = fmt.Errorf("%s: %s", res.Status, answer)
	}
	return err
}
