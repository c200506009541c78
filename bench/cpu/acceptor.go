package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// acceptor is the least that an edge takes for an aggregator: it welcomes every
// hello and acknowledges every batch that is whole. Here it stands in for the
// real one, which would take CPU from what is measured.
func acceptor() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+shared.PathHello, func(w http.ResponseWriter, r *http.Request) {
		var hello shared.Hello
		if err := json.NewDecoder(r.Body).Decode(&hello); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply := shared.HelloReply{Expected: []shared.EpochMark{}}
		for i, s := range hello.Sites {
			reply.Sites = append(reply.Sites, shared.SiteReply{Domain: s.Domain, SiteID: fmt.Sprint("site", i)})
		}
		answer(w, reply)
	})
	mux.HandleFunc("POST "+shared.PathBatches, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, shared.MaxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ack := shared.Ack{Rejected: []shared.Rejected{}}
		for len(body) > 0 {
			frame, rest, err := batch.Next(body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			ack.Epoch, ack.AckedThrough = frame.Header.Epoch, frame.Header.LastSeq()
			body = rest
		}
		ack.Expected = ack.AckedThrough + 1
		answer(w, ack)
	})
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the edge notices a broken connection itself
}
