package enrich

import (
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestQueryKeepsWhatIsListed(t *testing.T) {
	long := strings.Repeat("x", 400)
	for _, c := range []struct{ raw, query string }{
		{"", ""},
		{"token=SECRET", ""},
		{"utm_source=a&utm_medium=b", "utm_source=a&utm_medium=b"},
		{"q=SECRET&utm_source=a&session=SECRET&utm_medium=b&x=SECRET", "utm_source=a&utm_medium=b"},
		{"UTM_Source=A", "utm_source=A"},
		{"utm_id=7&utm_source_platform=p", "utm_id=7&utm_source_platform=p"},
		{"utm_my%20secret=x&utm_averyverylongkeythatsayssomething=x", ""},
		{"gclid=1&fbclid=2&msclkid=3&ttclid=4&li_fat_id=5&twclid=6&ref=7&source=8", "gclid=1&fbclid=2&msclkid=3&ttclid=4&li_fat_id=5&twclid=6&ref=7&source=8"},
		{"utm_content=joe%40example.org", "utm_content=%5Bemail%5D"},
		{"utm_source=%zz", "utm_source=%zz"},
		{"ref=https%3A%2F%2Fa.example%2Fp%3Ftoken%3DSECRET&utm_term=b", "ref=https%3A%2F%2Fa.example%2Fp&utm_term=b"},
		{"source=a;token=SECRET", "source=a"},
		{"utm_source=a%26token%3DSECRET", "utm_source=a"},
		{"utm_source=a?token=SECRET%zz", "utm_source=a"},
		{"ref=a%3Ftoken%3DSECRET%zz", "ref=a"},
		{"utm_campaign=AT%26T+%231+%3D+best", "utm_campaign=AT%26T+%231+%3D+best"},
		{"&&utm_source=a&&", "utm_source=a"},
		{"utm_source", "utm_source"},
		{"utm_term=" + long + "&utm_content=" + long + "&utm_campaign=" + long, "utm_term=" + long + "&utm_content=" + long},
	} {
		var e shared.Event
		readQuery(c.raw, nil, &e)
		if e.Query != c.query {
			t.Errorf("%q: kept %q, want %q", c.raw, e.Query, c.query)
		}
	}
}

func TestCampaignsAndClickIDs(t *testing.T) {
	var e shared.Event
	long := strings.Repeat("ü", 200)
	readQuery("utm_source=News+letter&utm_medium=e%2Dmail&utm_campaign="+long+"&utm_content=c&utm_term=%20t%00t%20&utm_term=second"+
		"&gclid=g&fbclid=f&msclkid=m&ttclid=tt&li_fat_id=li&twclid=tw", nil, &e)
	e.Query = ""
	want := shared.Event{
		UTMSource: "News letter", UTMMedium: "e-mail", UTMCampaign: long[:254], UTMContent: "c", UTMTerm: "tt",
		GCLID: "g", FBCLID: "f", MSCLKID: "m", TTCLID: "tt", LIFatID: "li", TWCLID: "tw",
	}
	if d := diff(e, want); d != "" {
		t.Error(d)
	}
}

func TestHugeQueriesAreBounded(t *testing.T) {
	var e shared.Event
	readQuery(strings.Repeat("a=b&", 100_000)+"utm_source=late", nil, &e)
	if e.UTMSource != "" {
		t.Error("more than the bound was read")
	}
}
