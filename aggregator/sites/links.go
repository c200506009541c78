package sites

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// Bounds of a site's links: every edge gets them all.
const (
	maxLinks   = 500
	maxSlug    = 64
	maxLinkURL = 2000
)

// applyLinks sets the short addresses of a site. One that the site has already
// keeps its UUID, by which trackers name it.
func (c *Change) applyLinks(s *state.Site) error {
	if c.Links == nil {
		return nil
	}
	if len(*c.Links) > maxLinks {
		return fmt.Errorf("links: at most %d are possible", maxLinks)
	}
	var list []shared.Link
	for _, l := range *c.Links {
		if err := checkLink(&l); err != nil {
			return fmt.Errorf("links: %w", err)
		}
		if slices.ContainsFunc(list, func(o shared.Link) bool { return o.Slug == l.Slug }) {
			return fmt.Errorf("links: %s is given twice", strconv.Quote(l.Slug))
		}
		l.UUID = newUUID()
		if at := slices.IndexFunc(s.Links, func(o shared.Link) bool { return o.Slug == l.Slug }); at >= 0 {
			l.UUID = s.Links[at].UUID
		}
		list = append(list, l)
	}
	s.Links = list
	return nil
}

// checkLink checks a link as somebody sets it.
func checkLink(l *shared.Link) error {
	plain := l.Slug != "" && len(l.Slug) <= maxSlug && strings.IndexFunc(l.Slug, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) < 0
	if !plain {
		return fmt.Errorf("the slug %s: it has 1 to %d letters, digits, - and _", strconv.Quote(cut(l.Slug)), maxSlug)
	}
	if shared.Cut(l.Name, shared.MaxShort) != l.Name {
		return fmt.Errorf("the name of %s has at most %d bytes of text", l.Slug, shared.MaxShort)
	}
	if l.URL == "" {
		return nil // a pixel
	}
	u, err := url.Parse(l.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(l.URL) > maxLinkURL || shared.Cut(l.URL, maxLinkURL) != l.URL {
		return fmt.Errorf("%s leads to %s: want a URL that begins with http:// or https://", l.Slug, strconv.Quote(cut(l.URL)))
	}
	return nil
}

// checkSlugs refuses slugs that are another site's: the address has no place
// for which of them is meant.
func checkSlugs(names map[string]state.Site, s *state.Site) error {
	if len(s.Links) == 0 {
		return nil
	}
	taken := map[string]string{}
	for name, other := range names {
		if name == other.ID && other.ID != s.ID {
			for _, l := range other.Links {
				taken[l.Slug] = other.ID
			}
		}
	}
	for _, l := range s.Links {
		if other, ok := taken[l.Slug]; ok {
			return fmt.Errorf("links: %s is one of the site %s already", l.Slug, other)
		}
	}
	return nil
}
