package enrich

import (
	"os"
	"strings"
	"testing"
)

// The list of reasons is closed and published: who reads stored history must
// find each of them there.
func TestEveryReasonIsPublished(t *testing.T) {
	b, err := os.ReadFile("../../docs/bots.md")
	if err != nil {
		t.Fatal(err)
	}
	published := string(b)
	for _, reason := range append([]string{
		ReasonNoUserAgent, ReasonKnownAgent, ReasonListedAgent, ReasonSelfDeclared, ReasonNotABrowser, ReasonSpoofed, ReasonHeadless,
		ReasonProbe, ReasonTooFast, ReasonErrors, ReasonUnlisted, ReasonBrowser,
	}, softSigns[:]...) {
		if !strings.Contains(published, "| `"+reason+"` |") {
			t.Errorf("docs/bots.md has no row of %q", reason)
		}
	}
}

// The agents of language models that are about today, by the names that their
// operators publish, with what they are for.
func TestAgentsOfLanguageModels(t *testing.T) {
	for _, c := range []struct{ ua, name, operator, purpose string }{
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3; +https://openai.com/gptbot)", "GPTBot", "OpenAI", AITraining},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36; compatible; OAI-SearchBot/1.3; +https://openai.com/searchbot", "OAI-SearchBot", "OpenAI", AISearch},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot", "ChatGPT-User", "OpenAI", AIUserFetch},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ClaudeBot", "Anthropic", AITraining},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-User/1.0; +Claude-User@anthropic.com)", "Claude-User", "Anthropic", AIUserFetch},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-SearchBot/1.0; +searchbot@anthropic.com)", "Claude-SearchBot", "Anthropic", AISearch},
		{"anthropic-ai", "anthropic-ai", "Anthropic", AITraining},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", "PerplexityBot", "Perplexity", AISearch},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)", "Perplexity-User", "Perplexity", AIUserFetch},
		{"Mozilla/5.0 (compatible; Google-Extended/1.0)", "Google-Extended", "Google", AITraining},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot-Extended/0.1)", "Applebot-Extended", "Apple", AITraining},
		{"Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)", "Bytespider", "ByteDance", AITraining},
		{"CCBot/2.0 (https://commoncrawl.org/faq/)", "CCBot", "Common Crawl", AITraining},
		{"meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)", "meta-externalagent", "Meta", AITraining},
		{"Meta-ExternalFetcher/1.1", "meta-externalfetcher", "Meta", AIUserFetch},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Amazonbot/0.1; +https://developer.amazon.com/support/amazonbot) Chrome/119.0.6045.214 Safari/537.36", "Amazonbot", "Amazon", AITraining},
		{"DuckAssistBot/1.2; (+http://duckduckgo.com/duckassistbot.html)", "DuckAssistBot", "DuckDuckGo", AISearch},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; MistralAI-User/1.0; +https://docs.mistral.ai/robots)", "MistralAI-User", "Mistral", AIUserFetch},
		{"cohere-ai", "cohere-ai", "Cohere", AIUserFetch},
		{"Mozilla/5.0 (compatible; Diffbot/0.1; +http://www.diffbot.com)", "Diffbot", "Diffbot", AITraining},
		{"Mozilla/5.0 (compatible; YouBot/1.0; +https://about.you.com/youbot/)", "YouBot", "You.com", AISearch},
		{"Mozilla/5.0 (compatible; Google-CloudVertexBot/1.0)", "Google-CloudVertexBot", "Google", AISearch},
	} {
		got, bot := Bot(c.ua)
		if !bot || got.Name != c.name || got.Operator != c.operator || got.AIPurpose != c.purpose || got.Category != CategoryAI || got.Reason != ReasonKnownAgent {
			t.Errorf("%q: %+v", c.ua, got)
		}
	}
}
