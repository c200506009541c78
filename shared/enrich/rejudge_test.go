package enrich

import (
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

func TestStoredEventsAreJudgedAnew(t *testing.T) {
	in2015 := time.Date(2015, 5, 17, 10, 0, 0, 0, time.UTC).UnixMicro()
	browser := func(reason string, verdict shared.Verdict, name, version string, at int64) shared.Event {
		return shared.Event{
			Origin: shared.OriginEdge, Time: at, Verdict: verdict, VerdictReason: reason,
			Browser: name, BrowserVersion: version, DeviceType: "desktop",
		}
	}
	bot := func(token, reason, name, category, operator, purpose string) shared.Event {
		return shared.Event{
			Origin: shared.OriginEdge, Time: noon, Verdict: shared.VerdictBot, VerdictReason: reason, AgentToken: token,
			BotName: name, BotCategory: category, BotOperator: operator, AIPurpose: purpose,
		}
	}
	with := func(e shared.Event, change func(*shared.Event)) shared.Event { change(&e); return e }
	for _, c := range []struct {
		name        string
		stored, now shared.Event
	}{
		{"an agent that is on the list by now", bot("GPTBot/1.3", "self_declared", "GPTBot", "other", "", ""), bot("GPTBot/1.3", "known_agent", "GPTBot", "ai", "OpenAI", "training")},
		{"one that a library lists", bot("Dataprovider.com", "not_a_browser", "Dataprovider.com", "other", "", ""), bot("Dataprovider.com", "listed_agent", "Dataprovider.com", "other", "", "")},
		{"spoofed stays spoofed", bot("Googlebot/2.1", "spoofed", "Googlebot", "other", "", ""), bot("Googlebot/2.1", "spoofed", "Googlebot", "search", "Google", "")},
		{"what no list has stays", bot("Thing/1.0", "not_a_browser", "Thing", "other", "", ""), bot("Thing/1.0", "not_a_browser", "Thing", "other", "", "")},
		{"nothing new", bot("curl/8.5.0", "known_agent", "curl", "library", "", ""), bot("curl/8.5.0", "known_agent", "curl", "library", "", "")},
		{
			"somebody had it as likely",
			with(bot("GPTBot/1.3", "browser", "", "", "", ""), func(e *shared.Event) { e.Verdict = shared.VerdictLikely }),
			bot("GPTBot/1.3", "known_agent", "GPTBot", "ai", "OpenAI", "training"),
		},

		{"a browser of today", browser("browser", shared.VerdictLikely, "Chrome", "156", noon), browser("browser", shared.VerdictLikely, "Chrome", "156", noon)},
		{"an old one", browser("browser", shared.VerdictLikely, "Chrome", "60", noon), browser("old_version", shared.VerdictLikely, "Chrome", "60", noon)},
		{"of its own time", browser("browser", shared.VerdictLikely, "Chrome", "42", in2015), browser("browser", shared.VerdictLikely, "Chrome", "42", in2015)},
		{
			"the second sign", browser("no_language", shared.VerdictLikely, "Chrome", "60", noon),
			with(browser("no_language+old_version", shared.VerdictBot, "Chrome", "60", noon), func(e *shared.Event) { e.BotCategory = "other" }),
		},
		{
			"one sign less", with(browser("no_language+old_version", shared.VerdictBot, "Chrome", "42", in2015), func(e *shared.Event) { e.BotCategory = "other" }),
			browser("no_language", shared.VerdictLikely, "Chrome", "42", in2015),
		},
		{"a browser whose versions are its own", browser("old_version", shared.VerdictLikely, "Opera", "12", noon), browser("old_version", shared.VerdictLikely, "Opera", "12", noon)},
		{"the edge of before", browser("browser", shared.VerdictLikely, "Edge", "18", noon), browser("browser", shared.VerdictLikely, "Edge", "18", noon)},
		{"a person stays one", browser("browser", shared.VerdictPerson, "Chrome", "60", noon), browser("browser", shared.VerdictPerson, "Chrome", "60", noon)},
		{"behaviour is not kept", browser("too_fast", shared.VerdictBot, "Chrome", "156", noon), browser("too_fast", shared.VerdictBot, "Chrome", "156", noon)},
		{
			"a beacon's row has no signs", with(browser("browser", shared.VerdictLikely, "Chrome", "60", noon), func(e *shared.Event) { e.Origin = shared.OriginBeacon }),
			with(browser("browser", shared.VerdictLikely, "Chrome", "60", noon), func(e *shared.Event) { e.Origin = shared.OriginBeacon }),
		},
		{"no verdict was stored", shared.Event{Origin: shared.OriginEdge, Time: noon}, shared.Event{Origin: shared.OriginEdge, Time: noon}},
	} {
		got := c.stored
		changed := Rejudge(&got)
		if d := diff(got, c.now); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if changed != (diff(c.stored, c.now) != "") {
			t.Errorf("%s: changed is %v", c.name, changed)
		}
		if Rejudge(&got) {
			t.Errorf("%s: judged twice, it changes twice", c.name)
		}
	}
}

// What is judged and stored today is judged the same from what is kept.
func TestJudgedAnewAtOnceNothingChanges(t *testing.T) {
	e := newEnricher(t)
	var list []string
	for _, c := range libraryCrawlers(t) {
		list = append(list, c.Instances...)
	}
	list = append(append(list, people...), chrome, firefox, safari, dead, ie11, tv, webview)
	for _, ua := range list {
		o := shared.Observation{Site: "example.com", Time: noon, Result: shared.ResultPageview, UserAgent: ua}
		var was, now shared.Event
		e.Enrich(&o, &was)
		now = was
		if Rejudge(&now) && now.Verdict != was.Verdict {
			t.Errorf("%q: %s %s becomes %s %s", ua, was.Verdict, was.VerdictReason, now.Verdict, now.VerdictReason)
		}
	}
}
