package enrich

import (
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// Rejudge gives an event that was stored the verdict that it would have by the
// rules of today, as far as what is kept of it tells: the product token of
// agents that are not browsers, the soft signs that were seen, the browser with
// its version and time. It reports whether anything changed.
//
// What is not kept can't be judged anew: a bot that only its whole user agent,
// its address or its behaviour gave away stays one.
func Rejudge(e *shared.Event) bool {
	if e.Verdict == shared.VerdictPerson {
		return false
	}
	before := verdictOf(e)
	if e.AgentToken != "" {
		rejudgeToken(e)
	} else {
		rejudgeSigns(e)
	}
	return verdictOf(e) != before
}

// verdictColumns are those that a judgement sets.
type verdictColumns struct {
	verdict                                   shared.Verdict
	reason, name, category, operator, purpose string
}

func verdictOf(e *shared.Event) verdictColumns {
	return verdictColumns{e.Verdict, e.VerdictReason, e.BotName, e.BotCategory, e.BotOperator, e.AIPurpose}
}

// rejudgeToken looks the token up in the lists.
func rejudgeToken(e *shared.Event) {
	info, ok := byList(e.AgentToken, strings.ToLower(e.AgentToken))
	if !ok {
		return
	}
	if e.VerdictReason != ReasonSpoofed {
		e.VerdictReason = info.Reason
	}
	e.Verdict, e.BotName, e.BotCategory, e.BotOperator, e.AIPurpose = shared.VerdictBot, info.Name, info.Category, info.Operator, info.AIPurpose
}

// rejudgeSigns counts the soft signs again.
func rejudgeSigns(e *shared.Event) {
	set, ok := parseSigns(e.VerdictReason)
	if !ok || e.Origin != shared.OriginEdge && e.Origin != shared.OriginImport {
		return
	}
	if engine, known := engineOf(e.Browser, e.BrowserVersion, e.DeviceType); known {
		set &^= signOld
		if engine.old(e.Time) {
			set |= signOld
		}
	}
	e.VerdictReason, e.Verdict, e.BotCategory = softReasons[set], shared.VerdictLikely, ""
	if bits(set) >= softEnough {
		e.Verdict, e.BotCategory = shared.VerdictBot, CategoryOther
	}
}

// parseSigns reads a reason that soft signs made.
func parseSigns(reason string) (set int, ok bool) {
	for set, r := range softReasons {
		if r == reason {
			return set, true
		}
	}
	return 0, false
}

// engineOf is what the stored columns tell of a browser's age; known is false
// where they tell nothing, since a browser counts its versions its own way.
func engineOf(browser, version, device string) (e engine, known bool) {
	e.screen = device == "desktop" || device == "mobile" || device == "tablet"
	switch browser {
	case "Chrome", "Chromium", "Android WebView", "Edge":
		e.chromium = major(version)
		// Edge had an engine of its own before 79.
		return e, e.chromium > 0 && (browser != "Edge" || e.chromium >= 79)
	case "Firefox":
		e.firefox = major(version)
		return e, e.firefox > 0
	case "Internet Explorer":
		e.explorer = true
		return e, true
	}
	return e, false
}
