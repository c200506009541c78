package enrich

import "github.com/eider-analytics/eider/shared"

// setVerdict says who asked, and why it is believed. It agrees with [Judge] on
// the observation's [SignsOf]: what was counted as a bot's request is stored as
// one.
func (e *Enricher) setVerdict(o *shared.Observation, dst *shared.Event) {
	v := bots.get(cutUserAgent(o.UserAgent), judge)
	if v.bot {
		e.setBot(o, dst, v)
		return
	}
	signs := SignsOf(o)
	reason, bot := v.agent.judge(&signs)
	switch {
	case bot:
	case o.BotReason != "":
		reason, bot = shared.Cut(o.BotReason, shared.MaxShort), true
	case o.Result == shared.ResultBot:
		reason, bot = ReasonUnlisted, true
	}
	dst.Verdict, dst.VerdictReason = shared.VerdictLikely, reason
	if bot {
		dst.Verdict, dst.BotCategory = shared.VerdictBot, categoryOf(reason)
		if reason == ReasonHeadless {
			dst.BotName = "Headless Chrome"
		}
	}
}

// setBot fills the columns of an automaton that its user agent names.
func (e *Enricher) setBot(o *shared.Observation, dst *shared.Event, v *botVerdict) {
	bot := &v.info
	dst.Verdict, dst.VerdictReason = shared.VerdictBot, bot.Reason
	dst.BotName, dst.BotCategory, dst.BotOperator = shared.Cut(bot.Name, shared.MaxShort), bot.Category, bot.Operator
	dst.AIPurpose, dst.AgentToken = bot.AIPurpose, bot.Token
	if dst.Props == nil {
		dst.Props = v.feed
	}
	if bot.Name == "" {
		return
	}
	if verified, known := e.crawlers.now.Load().check(bot.Name, o.ClientIP); known {
		dst.Verified = shared.Some(verified)
		if !verified {
			dst.VerdictReason = ReasonSpoofed
		}
	}
}

// categoryOf is the category of a bot that its user agent does not name.
func categoryOf(reason string) string {
	switch reason {
	case ReasonHeadless:
		return CategoryHeadless
	case ReasonProbe:
		return CategorySecurity
	}
	return CategoryOther
}
