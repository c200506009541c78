package enrich

import (
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestSourcesAndChannels(t *testing.T) {
	const instagram = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 270.0.0.13.83"
	for _, c := range []struct{ referer, query, fetchSite, ua, source, channel string }{
		{"", "", "", "", "", ChannelDirect},
		{"", "", "none", "", "", ChannelDirect},
		{"https://www.google.com/", "", "", "", "Google", ChannelOrganicSearch},
		{"https://www.google.co.uk/search?q=x", "", "", "", "Google", ChannelOrganicSearch},
		{"https://news.google.com/", "", "", "", "Google News", ChannelReferral},
		{"https://mail.google.com/", "", "", "", "Gmail", ChannelEmail},
		{"https://gemini.google.com/app", "", "", "", "Gemini", ChannelAI},
		{"https://chatgpt.com/", "", "", "", "ChatGPT", ChannelAI},
		{"", "utm_source=chatgpt.com", "", "", "ChatGPT", ChannelAI},
		{"https://t.co/abc", "", "", "", "X", ChannelOrganicSocial},
		{"https://old.reddit.com/r/golang", "", "", "", "Reddit", ChannelOrganicSocial},
		{"https://m.youtube.com/watch?v=1", "", "", "", "YouTube", ChannelOrganicVideo},
		{"https://www.amazon.de/dp/1", "", "", "", "Amazon", ChannelOrganicShopping},
		{"https://blog.example.net/post", "", "", "", "blog.example.net", ChannelReferral},

		// Referrer spam is no referrer; a link's own words stand.
		{"https://semalt.com/crawler.php?u=x", "", "", "", "", ChannelDirect},
		{"http://site12.free-share-buttons.com", "", "", "", "", ChannelDirect},
		{"https://semalt.com/", "utm_source=newsletter&utm_medium=email", "", "", "newsletter", ChannelEmail},
		{"https://notsemalt.com/", "", "", "", "notsemalt.com", ChannelReferral},
		{"https://semalt.com/", "", "", instagram, "Instagram", ChannelOrganicSocial},

		{"https://chat.qwen.ai/c/1", "", "", "", "Qwen", ChannelAI},
		{"android-app://com.openai.chatgpt/", "", "", "", "ChatGPT", ChannelAI},
		{"https://copilot.microsoft.com/chats/x", "", "", "", "Microsoft Copilot", ChannelAI},
		{"", "utm_source=perplexity", "", "", "Perplexity", ChannelAI},
		{"", "utm_source=%D1%8F%D0%BD%D0%B4%D0%B5%D0%BA%D1%81", "", "", "яндекс", ChannelReferral},
		{"", "UTM_SOURCE=Google&Utm_Medium=CPC", "", "", "Google", ChannelPaidSearch},
		{"https://www.google.com/", "utm_source=&source=", "", "", "Google", ChannelOrganicSearch},

		// Whole labels only.
		{"https://notgoogle.com/", "", "", "", "notgoogle.com", ChannelReferral},
		{"https://google.com.example.net/", "", "", "", "google.com.example.net", ChannelReferral},
		{"https://foot.co/", "", "", "", "foot.co", ChannelReferral},
		{"https://google.github.io/", "", "", "", "google.github.io", ChannelReferral},

		// The site itself.
		{"https://example.com/other", "", "", "", "", ChannelDirect},
		{"https://www.EXAMPLE.com:443/other", "", "", "", "", ChannelDirect},
		{"https://elsewhere.example/", "", "same-origin", "", "", ChannelDirect},

		{"android-app://com.google.android.gm/", "", "", "", "Gmail", ChannelEmail},
		{"android-app://com.reddit.frontpage", "", "", "", "Reddit", ChannelOrganicSocial},
		{"android-app://org.example.reader/", "", "", "", "org.example.reader", ChannelReferral},
		{"", "", "", instagram, "Instagram", ChannelOrganicSocial},
		{"", "", "same-origin", instagram, "", ChannelDirect},
		{"https://example.com/a", "", "", instagram, "", ChannelDirect},

		// What a link says of itself goes before the referrer, in this order.
		{"https://www.google.com/", "ref=producthunt", "", "", "Product Hunt", ChannelOrganicSocial},
		{"", "ref=a&source=b&utm_source=c", "", "", "c", ChannelReferral},
		{"", "ref=a&source=b", "", "", "b", ChannelReferral},
		{"", "ref=www.example.net", "", "", "example.net", ChannelReferral},
		{"", "utm_source=My+Newsletter&utm_medium=email", "", "", "My Newsletter", ChannelEmail},
		{"", "utm_source=fb&utm_medium=paid_social", "", "", "Facebook", ChannelPaidSocial},

		// GA4's rules, in their order.
		{"", "utm_source=google&utm_medium=cpc&utm_campaign=x_cross-network_y", "", "", "Google", ChannelCrossNetwork},
		{"", "utm_source=google&utm_medium=cpc&utm_campaign=summer+shop", "", "", "Google", ChannelPaidShopping},
		{"", "utm_source=google&utm_medium=cpc&utm_campaign=workshop", "", "", "Google", ChannelPaidSearch},
		{"", "utm_source=youtube&utm_medium=cpv", "", "", "YouTube", ChannelPaidVideo},
		{"", "utm_source=youtube&utm_medium=paid", "", "", "YouTube", ChannelPaidVideo},
		{"", "utm_source=x&utm_medium=banner", "", "", "X", ChannelDisplay},
		{"", "utm_source=blog&utm_medium=cpm", "", "", "blog", ChannelDisplay},
		{"", "utm_source=blog&utm_medium=retargeting", "", "", "blog", ChannelPaidOther},
		{"", "utm_source=blog&utm_campaign=shopping-week", "", "", "blog", ChannelOrganicShopping},
		{"", "utm_source=blog&utm_medium=sm", "", "", "blog", ChannelOrganicSocial},
		{"", "utm_source=blog&utm_medium=videocast", "", "", "blog", ChannelOrganicVideo},
		{"", "utm_source=blog&utm_medium=organic", "", "", "blog", ChannelOrganicSearch},
		{"", "utm_source=E-Mail", "", "", "E-Mail", ChannelEmail},
		{"", "utm_source=p&utm_medium=affiliate", "", "", "p", ChannelAffiliates},
		{"", "utm_source=p&utm_medium=audio", "", "", "p", ChannelAudio},
		{"", "utm_source=sms", "", "", "sms", ChannelSMS},
		{"", "utm_source=app&utm_medium=web-push", "", "", "app", ChannelPush},
		{"", "utm_source=app&utm_medium=link", "", "", "app", ChannelReferral},

		{"", "utm_source=google&utm_medium=cpm", "", "", "Google", ChannelPaidSearch},
		{"https://www.youtube.com/", "utm_source=blog&utm_medium=email", "", "", "blog", ChannelEmail},
		{"", "utm_source=firebase", "", "", "firebase", ChannelPush},
		{"", "utm_source=app&utm_medium=mobile", "", "", "app", ChannelPush},
		{"", "utm_source=app&utm_medium=notification", "", "", "app", ChannelPush},
		{"", "utm_source=x&utm_medium=ai-assistant", "", "", "X", ChannelOrganicSocial}, // social comes before AI assistants
		{"", "utm_source=blog&utm_medium=ai-assistant", "", "", "blog", ChannelAI},
		{"", "utm_source=amazon", "", "", "Amazon", ChannelOrganicShopping},
		{"", "utm_source=amazon&utm_medium=paid", "", "", "Amazon", ChannelPaidShopping},

		// Advertisements by click id.
		{"", "gclid=abc", "", "", "Google", ChannelPaidSearch},
		{"https://www.bing.com/", "msclkid=abc", "", "", "Bing", ChannelPaidSearch},
		{"https://l.facebook.com/", "fbclid=abc", "", "", "Facebook", ChannelOrganicSocial},
	} {
		e := newEnricher(t)
		o := shared.Observation{Site: "example.com", Host: "example.com", Time: noon, Referer: c.referer, RawQuery: c.query, SecFetchSite: c.fetchSite, UserAgent: c.ua}
		var got shared.Event
		e.Enrich(&o, &got)
		if got.Source != c.source || got.Channel != c.channel {
			t.Errorf("referrer %q query %q: %q, %s; want %q, %s", c.referer, c.query, got.Source, got.Channel, c.source, c.channel)
		}
	}
}

func TestNothingSecretOfAReferrerIsKept(t *testing.T) {
	for _, c := range []struct{ ref, domain, path string }{
		{"https://user:SECRET@www.Example.NET.:8443/a/b?token=SECRET#access_token=SECRET", "example.net", "/a/b"},
		{"https://example.net#SECRET", "example.net", ""},
		{"https://example.net?SECRET", "example.net", ""},
		{"https://example.net/mail/joe.bloggs@example.org/x", "example.net", "/mail/[email]/x"},
		{"https://example.net/mail/joe%40example.org", "example.net", "/mail/[email]"},
		{"https://example.net/reset/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "example.net", "/reset/[token]"},
		{"https://example.net/%zz", "example.net", "/%zz"},
		{"https://[2001:db8::1]:8080/a", "2001:db8::1", "/a"},
		{"HTTP://example.net/A", "example.net", "/A"},
		{"android-app://com.google.android.gm/SECRET", "com.google.android.gm", ""},
		{"javascript:SECRET", "", ""},
		{"data:text/html,SECRET", "", ""},
		{"file:///home/SECRET", "", ""},
		{"https://", "", ""},
		{"https:///SECRET", "", ""},
		{"https://a b/SECRET", "", ""},
		{"about:blank", "", ""},
		{"SECRET", "", ""},
	} {
		got := parseReferrer(c.ref)
		if got.domain != c.domain || got.path != c.path {
			t.Errorf("%q: %q %q, want %q %q", c.ref, got.domain, got.path, c.domain, c.path)
		}
	}
}

// What is known not to be spam is on no list: a referrer taken away by mistake
// harms a site.
func TestNoSourceIsSpam(t *testing.T) {
	for _, spec := range sourceSpecs {
		for h := range strings.FieldsSeq(spec.hosts) {
			if spamReferrer(h) {
				t.Errorf("%s of %s is taken for spam", h, spec.name)
			}
		}
	}
	for domain := range spam {
		if domain != hostname(domain) || !strings.Contains(domain, ".") {
			t.Errorf("%q is not in the form in which hosts are looked up", domain)
		}
	}
}

func TestTheListOfSourcesIsSound(t *testing.T) {
	hosts := map[string]string{}
	for _, spec := range sourceSpecs {
		for _, h := range strings.Fields(spec.hosts) {
			if other, ok := hosts[h]; ok {
				t.Errorf("%s belongs to %s and %s", h, other, spec.name)
			}
			hosts[h] = spec.name
			if h != hostname(h) {
				t.Errorf("%s of %s is not in the form in which hosts are looked up", h, spec.name)
			}
		}
	}
	for _, f := range families {
		if f.app != "" {
			if _, ok := sourceByWord[strings.ToLower(f.app)]; !ok {
				t.Errorf("in-app browser %s stands for %q, which is no source", f.name, f.app)
			}
		}
	}
}
