package upstream

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestAddress(t *testing.T) {
	for text, says := range map[string]string{
		"https://a.example":               "",
		"http://127.0.0.1:8090":           "",
		"https://a.example/eider":         "",
		"":                                "must look like",
		"a.example:8090":                  "must look like",
		"ftp://a.example":                 "must look like",
		"https://":                        "must look like",
		"https://a.example?token=hidden":  "must look like",
		"https://a.example#hidden":        "must look like",
		"https://u:hidden@a.example:port": "not a URL",
		"https://hidden.example/%zz":      "not a URL",
	} {
		u, err := Address(text)
		switch {
		case says == "" && (err != nil || u.String() != text):
			t.Errorf("%q: %v, %v", text, u, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hidden")):
			t.Errorf("%q: got %v, want %q without what it says", text, err, says)
		}
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	strays := 0
	stray := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strays++ }))
	defer stray.Close()
	server := httptest.NewServer(http.RedirectHandler(stray.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	for _, transport := range []http.RoundTripper{nil, Transport(10 * time.Second)} {
		client := Client(transport)
		resp, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != http.StatusTemporaryRedirect || strays > 0 {
			t.Errorf("answered %d, and %d requests went elsewhere", resp.StatusCode, strays)
		}
	}
}
