package sites

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// Change is what to make different of a site. What is nil stays as it is.
type Change struct {
	Domains        *[]string `json:"domains,omitempty"` // all of them; the first names the site in its snippet
	Name           *string   `json:"name,omitempty"`
	TimeZone       *string   `json:"time_zone,omitempty"`       // IANA name
	AllowedDomains *[]string `json:"allowed_domains,omitempty"` // empty = any
	Identity       *string   `json:"identity,omitempty"`        // day or month
	Archived       *bool     `json:"archived,omitempty"`
	// Links are all short addresses; their UUIDs are not the caller's to choose.
	Links *[]shared.Link `json:"links,omitempty"`
	// Preset sets all privacy options but the two lists: strict, cnil, or
	// default for none.
	Preset *string `json:"preset,omitempty"`
	// Privacy sets single options of shared.Privacy by their JSON names, after
	// the preset; those that it does not name stay.
	Privacy json.RawMessage `json:"privacy,omitempty"`
}

// maxDomains bounds a site's lists of names: every edge gets them all. Those of
// its privacy rules are of package shared.
const maxDomains = 100

// presetDefault names the absence of privacy options.
const presetDefault = "default"

func (c *Change) empty() bool { return reflect.ValueOf(*c).IsZero() }

// apply changes s, or says what can't be.
func (c *Change) apply(s *state.Site) error {
	if err := c.applyNames(s); err != nil {
		return err
	}
	if c.TimeZone != nil {
		if err := checkZone(*c.TimeZone); err != nil {
			return err
		}
		s.Zone = *c.TimeZone
	}
	if c.Identity != nil {
		if *c.Identity != shared.IdentityDay && *c.Identity != shared.IdentityMonth {
			return fmt.Errorf("identity can be day or month, not %s", strconv.Quote(cut(*c.Identity)))
		}
		s.Identity = *c.Identity
	}
	if c.Archived != nil {
		s.Archived = *c.Archived
	}
	if err := c.applyLinks(s); err != nil {
		return err
	}
	return c.applyPrivacy(s)
}

func (c *Change) applyNames(s *state.Site) error {
	if c.Domains != nil {
		list, err := normalAll(*c.Domains, Domain)
		if err != nil {
			return fmt.Errorf("domains: %w", err)
		}
		if len(list) == 0 {
			return errors.New("domains: a site needs at least one; to end it, archive it")
		}
		s.Domains = list
	}
	if c.AllowedDomains != nil {
		list, err := normalAll(*c.AllowedDomains, allowedDomain)
		if err != nil {
			return fmt.Errorf("allowed domains: %w", err)
		}
		s.AllowedDomains = list
	}
	if c.Name != nil {
		name := strings.TrimSpace(*c.Name)
		if name == "" || shared.Cut(name, shared.MaxShort) != name {
			return fmt.Errorf("a site's name has 1 to %d bytes of text, without control characters", shared.MaxShort)
		}
		s.Name = name
	}
	return nil
}

// normalAll brings each name to its one form, and drops repetitions.
func normalAll(names []string, normal func(string) (string, error)) ([]string, error) {
	var list []string
	for _, name := range names {
		one, err := normal(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, one) {
			list = append(list, one)
		}
		if len(list) > maxDomains {
			return nil, fmt.Errorf("at most %d are possible", maxDomains)
		}
	}
	return list, nil
}

// allowedDomain is a host, or `*.` and a host for all below it.
func allowedDomain(name string) (string, error) {
	below, all := strings.CutPrefix(strings.TrimSpace(name), "*.")
	domain, err := Domain(below)
	if err != nil || !all {
		return domain, err
	}
	if _, isAddress := address(domain); isAddress {
		return "", fmt.Errorf("%s: there is nothing below an address", strconv.Quote(cut(name)))
	}
	return "*." + domain, nil
}

func (c *Change) applyPrivacy(s *state.Site) error {
	if c.Preset == nil && len(c.Privacy) == 0 {
		return nil
	}
	p := s.Privacy
	if c.Preset != nil {
		preset, ok := shared.Presets[*c.Preset]
		if !ok && *c.Preset != presetDefault {
			return fmt.Errorf("there is no preset %s: it can be strict, cnil or default", strconv.Quote(cut(*c.Preset)))
		}
		preset.QueryKeys, preset.Redact = p.QueryKeys, p.Redact
		p = preset
	}
	// Decoding writes into the arrays of slices; those of the site are others'.
	p.QueryKeys, p.Redact = slices.Clone(p.QueryKeys), slices.Clone(p.Redact)
	if len(c.Privacy) > 0 {
		d := json.NewDecoder(bytes.NewReader(c.Privacy))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("privacy: %w", err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return errors.New("privacy: must be one JSON object")
		}
	}
	if err := checkPrivacy(&p); err != nil {
		return fmt.Errorf("privacy: %w", err)
	}
	s.Privacy = p
	return nil
}

// checkPrivacy refuses what no edge could carry out, and brings the lists to
// their one form. Edges that can't use a pattern record no path of the site at
// all, so the bounds are theirs.
func checkPrivacy(p *shared.Privacy) error {
	if p.NoVisitorID && p.DistinctIDs {
		return errors.New("distinct_ids records who a visitor is, no_visitor_id forbids it: choose one")
	}
	p.QueryKeys, p.Redact = distinct(p.QueryKeys), distinct(p.Redact)
	if err := p.Check(); err != nil {
		return err
	}
	for _, pattern := range p.Redact {
		if re, err := shared.CompileRedaction(pattern); err != nil || re.MatchString("") {
			return fmt.Errorf("redact: %s also fits nothing at all, between any two characters: let it fit at least one", strconv.Quote(pattern))
		}
	}
	return nil
}

// distinct drops repetitions.
func distinct(list []string) []string {
	var once []string
	for _, text := range list {
		if !slices.Contains(once, text) {
			once = append(once, text)
		}
	}
	return once
}

// same reports whether two records differ in nothing but their time.
func same(a, b *state.Site) bool {
	x, y := *a, *b
	x.UpdatedAt, y.UpdatedAt = 0, 0
	return reflect.DeepEqual(normalSite(x), normalSite(y))
}

// samePrivacy reports whether two records leave out the same; more of query
// strings, or ids of the site's own, take nothing from any answer.
func samePrivacy(a, b *state.Site) bool {
	x, y := normalSite(*a).Privacy, normalSite(*b).Privacy
	x.QueryKeys, y.QueryKeys = nil, nil
	x.DistinctIDs, y.DistinctIDs = false, false
	return reflect.DeepEqual(x, y)
}

// normalSite makes absent and empty lists one.
func normalSite(s state.Site) state.Site {
	for _, list := range []*[]string{&s.Domains, &s.AllowedDomains, &s.Privacy.QueryKeys, &s.Privacy.Redact} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	if len(s.Links) == 0 {
		s.Links = nil
	}
	if len(s.Goals) == 0 {
		s.Goals = nil
	}
	return s
}
