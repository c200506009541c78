package generator

import (
	"fmt"
	"strings"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

// model is the tables as what is drawn: distributions, and for each value of
// them the columns that an event gets, made by the real enrichment.
type model struct {
	clients    *dist
	clientOf   []shared.Event // browser, system, device
	screenOf   []*dist        // by client
	screenText [][]string
	places     *dist
	placeOf    []shared.Event // country, region, city, language
	origins    *dist
	originOf   []originColumns
	robots     *dist
	robotOf    []shared.Event // verdict and who it is
	pages      *dist
	pageOf     []page
	gone       *dist // links that lead nowhere
	goneOf     []string
	hour       *dist
	protocol   *dist
	cache      *dist
	custom     *dist
	product    *dist
}

// originColumns are the columns of the first view of a visit.
type originColumns struct {
	event shared.Event
	click string // see origin
}

type page struct {
	path, title string
	bytes       [2]int64 // by what the browser accepts
}

// newModel makes the model. It is the same for all seeds.
func newModel() (*model, error) {
	e, err := enrich.New(enrich.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.Close() }()
	m := &model{
		hour: weighted(hours...), product: zipf(1200, 1, 3), gone: zipf(400, 1.2, 1),
		pages: zipf(pageCount, pageSkew, pageFlat),
	}
	m.protocol, m.cache, m.custom = weightedTexts(protocols), weightedTexts(cacheStatuses), weightedTexts(customs)
	m.makeClients(e)
	m.makePlaces(e)
	m.makeOrigins(e)
	m.makeRobots(e)
	m.makePages()
	return m, nil
}

func weightedTexts(list []weightedText) *dist {
	w := make([]float64, len(list))
	for i, t := range list {
		w[i] = t.weight
	}
	return weighted(w...)
}

func (m *model) makeClients(e *enrich.Enricher) {
	var weights []float64
	for i := range clients {
		agents, w := clients[i].versions()
		for j, agent := range agents {
			var ev shared.Event
			e.Enrich(&shared.Observation{Host: "a.example", Result: shared.ResultPageview, UserAgent: agent}, &ev)
			list := screens[ev.DeviceType]
			m.clientOf, weights = append(m.clientOf, ev), append(weights, w[j])
			m.screenOf = append(m.screenOf, weightedTexts(list))
			var texts []string
			for _, s := range list {
				texts = append(texts, s.text)
			}
			m.screenText = append(m.screenText, texts)
		}
	}
	m.clients = weighted(weights...)
}

func (m *model) makePlaces(e *enrich.Enricher) {
	var weights []float64
	for _, c := range countries {
		cities, languages := 0.0, 0.0
		for _, t := range c.cities {
			cities += t.weight
		}
		for _, l := range c.languages {
			languages += l.weight
		}
		for _, t := range c.cities {
			for _, l := range c.languages {
				var ev shared.Event
				e.Enrich(&shared.Observation{
					Host: "a.example", Result: shared.ResultPageview, UserAgent: "Mozilla/5.0 (X11)",
					AcceptLanguage: l.text, Country: c.code, Region: t.region, City: t.name,
				}, &ev)
				m.placeOf = append(m.placeOf, ev)
				weights = append(weights, c.weight*t.weight/cities*l.weight/languages)
			}
		}
	}
	m.places = weighted(weights...)
}

func (m *model) makeOrigins(e *enrich.Enricher) {
	var weights []float64
	add := func(o origin) {
		click := ""
		if o.click != "" {
			click = "&" + o.click + "=x"
		}
		var ev shared.Event
		e.Enrich(&shared.Observation{
			Host: "a.example", Result: shared.ResultPageview, UserAgent: "Mozilla/5.0 (X11)", Referer: o.referrer, RawQuery: o.query + click,
		}, &ev)
		m.originOf = append(m.originOf, originColumns{ev, o.click})
		weights = append(weights, o.weight)
	}
	for _, o := range origins {
		add(o)
	}
	variants := zipf(campaignVariants, campaignSkew, 1)
	for _, o := range campaigns {
		for v, p := range variants.p {
			one := o
			one.query, one.weight = fmt.Sprintf(o.query, v+1), o.weight*p
			add(one)
		}
	}
	for i, p := range zipf(blogs, blogSkew, 1).p {
		add(origin{weight: blogWeight * p, referrer: fmt.Sprintf("https://blog-%d.example/%d/post-%d", i, 2015+i%12, i*7919%1000)})
	}
	m.origins = weighted(weights...)
}

func (m *model) makeRobots(e *enrich.Enricher) {
	var weights []float64
	for _, r := range robots {
		o := shared.Observation{Host: "a.example", Result: shared.ResultBot, UserAgent: r.agent}
		switch r.asks {
		case "probe":
			o.BotReason = enrich.ReasonProbe
		case "fast":
			o.BotReason = enrich.ReasonTooFast
		}
		var ev shared.Event
		e.Enrich(&o, &ev)
		m.robotOf, weights = append(m.robotOf, ev), append(weights, r.weight)
	}
	m.robots = weighted(weights...)
}

// makePages gives a site its pages: a few that everybody knows, sections with
// lists, and thousands of articles, products and pages of documentation.
func (m *model) makePages() {
	words := strings.Fields("analytics privacy proxy server event query visit report design release guide update cookie metric stream " +
		"bridge garden coffee winter summer travel recipe history review project science market energy weather music language")
	topics := strings.Fields("engineering product company culture security research community tutorials")
	fixed := []string{"/", "/pricing", "/blog/", "/docs/", "/about", "/contact", "/shop/", "/login", "/features", "/careers", "/changelog", "/imprint"}
	for i := range pageCount {
		var path string
		w := func(k int) string { return words[(i*k+i/len(words))%len(words)] }
		switch {
		case i < len(fixed):
			path = fixed[i]
		case i%10 < 5:
			path = fmt.Sprintf("/blog/%d/%s-%s-%s-%d", 2016+i%11, w(7), w(11), w(3), i)
		case i%10 < 7:
			path = fmt.Sprintf("/docs/%s/%s/%s-%d", topics[i%len(topics)], w(5), w(13), i)
		case i%10 < 9:
			path = fmt.Sprintf("/shop/%s/%s-%05d", w(3), w(17), i*37)
		default:
			path = fmt.Sprintf("/%s/page/%d", topics[i%len(topics)], i/10)
		}
		size := 4_000 + int64(mix(uint64(i))%9_000) + int64(mix(uint64(i), 1)%60)*600
		m.pageOf = append(m.pageOf, page{path, title(path), [2]int64{size, size * 29 / 25}})
	}
	for i := range m.gone.p {
		m.goneOf = append(m.goneOf, fmt.Sprintf("/old/%s-%d.html", words[i*5%len(words)], i))
	}
}

// title is what a page is called.
func title(path string) string {
	last := strings.Trim(path, "/")
	if i := strings.LastIndexByte(last, '/'); i >= 0 {
		last = last[i+1:]
	}
	if last == "" {
		return "Home – Example"
	}
	return strings.ToUpper(last[:1]) + strings.ReplaceAll(last[1:], "-", " ") + " – Example"
}
