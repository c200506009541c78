package classify

import (
	"slices"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// Whatever a client and a server say, a request has one result of the list.
func FuzzClassify(f *testing.F) {
	f.Add("GET", "/a.pdf", "_rsc=1", "Range", "bytes=0-", "Sec-Fetch-Dest", "document", 206, "application/pdf", uint8(0))
	f.Add("GET", "/", "", "Hx-Boosted", "true", "Sec-Purpose", "prefetch;prerender", 200, "text/html; charset", uint8(255))
	f.Fuzz(func(t *testing.T, method, path, query, name1, value1, name2, value2 string, status int, contentType string, switched uint8) {
		r := Request{
			Method: method, Path: path, Query: query, Status: status, ContentType: contentType, Switches: Switches(switched),
			Signals: ReadSignals(map[string][]string{name1: {value1}, name2: {value2}}),
		}
		result, kind := r.Classify()
		if !slices.Contains(shared.Results, result) || result.Recorded() != (kind != "") || kind != "" && !kind.Valid() {
			t.Errorf("%+v is %q of kind %q", r, result, kind)
		}
		PagePart(path, contentType)
	})
}
