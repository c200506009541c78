package sites

import (
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/aggregator/state"
)

// DefaultBase is where the script lies on a site's own origin if its Caddyfile
// says `script /e`, as the documentation does.
const DefaultBase = "/e"

// Snippet is the line to put into a site's pages. base is the path below which
// the site serves the script, or the aggregator's or a collector's URL; "" =
// DefaultBase.
func Snippet(s *state.Site, base string) (string, error) {
	if base == "" {
		base = DefaultBase
	}
	u, err := url.Parse(base)
	own := err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/")
	far := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	if !own && !far || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s is not where a script can lie: write a path such as /e, or https://stats.example.com", strconv.Quote(cut(base)))
	}
	return fmt.Sprintf(`<script defer src="%s/e.js" data-site="%s"></script>`,
		html.EscapeString(strings.TrimRight(u.String(), "/")), html.EscapeString(s.Domains[0])), nil
}
