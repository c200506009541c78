package enrich

import "strings"

// sourceClass is what kind of place a source is.
type sourceClass uint8

const (
	classNone sourceClass = iota
	classSearch
	classSocial
	classVideo
	classShopping
	classEmail
	classAI
)

// place that visits come from: its name and kind.
type source struct {
	name  string
	class sourceClass
}

// sourceSpec lists the hosts of one source: registrable domains, which stand
// for all of their subdomains too, or single subdomains; longest wins. Packages
// are Android's names. Words are what people write into utm_source.
type sourceSpec struct {
	name  string
	class sourceClass
	hosts string // separated by blanks
	words string
}

// countries that a search engine has domains of its own in.
const (
	googleSuffixes = "com ad ae al am as at az ba be bf bg bi bj bs bt by ca cat cd cf cg ch ci cl cm cn cv cz de dj dk dm dz ee es fi fm fr ga ge gg gl gm gp gr gy hn hr ht hu ie im iq is it je jo kg ki kz la li lk lt lu lv md me mg mk ml mn mu mv mw ne nl no nr nu pl pn ps pt ro rs ru rw sc se sh si sk sm sn so sr st td tg tk tl tm tn to tt vg vu ws co.ao co.bw co.ck co.cr co.id co.il co.in co.jp co.ke co.kr co.ls co.ma co.mz co.nz co.th co.tz co.ug co.uk co.uz co.ve co.vi co.za co.zm co.zw com.af com.ag com.ai com.ar com.au com.bd com.bh com.bn com.bo com.br com.bz com.co com.cu com.cy com.do com.ec com.eg com.et com.fj com.gh com.gi com.gt com.hk com.jm com.kh com.kw com.lb com.ly com.mm com.mt com.mx com.my com.na com.ng com.ni com.np com.om com.pa com.pe com.pg com.ph com.pk com.pr com.py com.qa com.sa com.sb com.sg com.sl com.sv com.tj com.tr com.tw com.ua com.uy com.vc com.vn"
	amazonSuffixes = "com ca de es fr it nl pl se in eg ae sa sg com.au com.br com.mx com.tr com.be co.jp co.uk"
	yandexSuffixes = "ru com com.tr by kz uz ua az com.am com.ge co.il"
)

var sourceSpecs = []sourceSpec{
	{"Google", classSearch, with("google", googleSuffixes) + " com.google.android.googlequicksearchbox com.google.android.apps.searchlite", "google adwords google_ads googleads"},
	{"Google News", classNone, "news.google.com com.google.android.apps.magazines", ""},
	{"Google Docs", classNone, "docs.google.com drive.google.com", ""},
	{"Google Translate", classNone, "translate.google.com translate.goog", ""},
	{"Gmail", classEmail, "mail.google.com com.google.android.gm", "gmail"},
	{"Bing", classSearch, "bing.com com.microsoft.bing", "bing bingads"},
	{"MSN", classNone, "msn.com", ""},
	{"DuckDuckGo", classSearch, "duckduckgo.com com.duckduckgo.mobile.android", "duckduckgo ddg"},
	{"Yahoo", classSearch, "search.yahoo.com search.yahoo.co.jp yahoo.com yahoo.co.jp", "yahoo"},
	{"Yahoo Mail", classEmail, "mail.yahoo.com mail.yahoo.co.jp", ""},
	{"Yandex", classSearch, with("yandex", yandexSuffixes) + " ya.ru", "yandex"},
	{"Yandex Mail", classEmail, "mail.yandex.ru mail.yandex.com", ""},
	{"Baidu", classSearch, "baidu.com", "baidu"},
	{"Ecosia", classSearch, "ecosia.org com.ecosia.android", "ecosia"},
	{"Qwant", classSearch, "qwant.com", "qwant"},
	{"Startpage", classSearch, "startpage.com", "startpage"},
	{"Brave Search", classSearch, "search.brave.com", ""},
	{"Kagi", classSearch, "kagi.com", "kagi"},
	{"Mojeek", classSearch, "mojeek.com", ""},
	{"Swisscows", classSearch, "swisscows.com", ""},
	{"Seznam", classSearch, "seznam.cz search.seznam.cz", "seznam"},
	{"Naver", classSearch, "naver.com search.naver.com", "naver"},
	{"Daum", classSearch, "daum.net search.daum.net", "daum"},
	{"Sogou", classSearch, "sogou.com", "sogou"},
	{"360 Search", classSearch, "so.com", ""},
	{"Ask", classSearch, "ask.com", "ask"},
	{"AOL", classSearch, "aol.com search.aol.com", "aol"},
	{"Dogpile", classSearch, "dogpile.com", ""},
	{"MetaGer", classSearch, "metager.org metager.de", ""},
	{"Presearch", classSearch, "presearch.com", ""},
	{"Rambler", classSearch, "rambler.ru", ""},
	{"Cốc Cốc", classSearch, "coccoc.com", ""},

	{"ChatGPT", classAI, "chatgpt.com chat.openai.com com.openai.chatgpt", "chatgpt chatgpt.com openai"},
	{"Claude", classAI, "claude.ai com.anthropic.claude", "claude claude.ai"},
	{"Perplexity", classAI, "perplexity.ai ai.perplexity.app.android", "perplexity perplexity.ai"},
	{"Gemini", classAI, "gemini.google.com bard.google.com com.google.android.apps.bard", "gemini"},
	{"Microsoft Copilot", classAI, "copilot.microsoft.com copilot.cloud.microsoft com.microsoft.copilot", "copilot copilot.com"},
	{"Mistral", classAI, "chat.mistral.ai ai.mistral.chat", "mistral"},
	{"DeepSeek", classAI, "chat.deepseek.com com.deepseek.chat", "deepseek"},
	{"Grok", classAI, "grok.com ai.x.grok", "grok"},
	{"Meta AI", classAI, "meta.ai", ""},
	{"You.com", classAI, "you.com", ""},
	{"Poe", classAI, "poe.com", ""},
	{"Phind", classAI, "phind.com", ""},
	{"Kimi", classAI, "kimi.com kimi.ai kimi.moonshot.cn", ""},
	{"Qwen", classAI, "chat.qwen.ai chat.qwenlm.ai tongyi.com", "qwen"},
	{"Doubao", classAI, "doubao.com com.larus.nova", ""},
	{"NotebookLM", classAI, "notebooklm.google.com", "notebooklm"},
	{"Duck.ai", classAI, "duck.ai", ""},
	{"Lumo", classAI, "lumo.proton.me", ""},
	{"Z.ai", classAI, "chat.z.ai z.ai", ""},
	{"Manus", classAI, "manus.im", ""},
	{"Genspark", classAI, "genspark.ai", ""},
	{"Felo", classAI, "felo.ai", ""},
	{"iAsk", classAI, "iask.ai", ""},
	{"Andi", classAI, "andisearch.com", ""},

	{"Facebook", classSocial, "facebook.com fb.com fb.me com.facebook.katana com.facebook.lite", "facebook fb facebook-ads facebook_ads"},
	{"Messenger", classSocial, "messenger.com com.facebook.orca", "messenger"},
	{"Instagram", classSocial, "instagram.com com.instagram.android", "instagram ig"},
	{"Threads", classSocial, "threads.net threads.com com.instagram.barcelona", "threads"},
	{"WhatsApp", classSocial, "whatsapp.com wa.me com.whatsapp", "whatsapp"},
	{"X", classSocial, "x.com twitter.com t.co com.twitter.android", "twitter x"},
	{"LinkedIn", classSocial, "linkedin.com lnkd.in com.linkedin.android", "linkedin"},
	{"Reddit", classSocial, "reddit.com redd.it com.reddit.frontpage", "reddit"},
	{"Pinterest", classSocial, "pinterest.com pinterest.ca pinterest.co.uk pinterest.de pinterest.fr pinterest.es pinterest.it pinterest.jp pinterest.com.au pin.it com.pinterest", "pinterest"},
	{"Hacker News", classSocial, "news.ycombinator.com", "hackernews hn"},
	{"Lobsters", classSocial, "lobste.rs", ""},
	{"Mastodon", classSocial, "mastodon.social mastodon.online mas.to fosstodon.org hachyderm.io infosec.exchange org.joinmastodon.android", "mastodon"},
	{"Bluesky", classSocial, "bsky.app go.bsky.app xyz.blueskyweb.app", "bluesky bsky"},
	{"Lemmy", classSocial, "lemmy.world lemmy.ml", ""},
	{"Telegram", classSocial, "telegram.org t.me web.telegram.org org.telegram.messenger", "telegram"},
	{"Discord", classSocial, "discord.com discordapp.com com.discord", "discord"},
	{"Slack", classSocial, "slack.com com.slack", "slack"},
	{"Snapchat", classSocial, "snapchat.com com.snapchat.android", "snapchat"},
	{"Tumblr", classSocial, "tumblr.com", "tumblr"},
	{"Quora", classSocial, "quora.com", "quora"},
	{"VK", classSocial, "vk.com vk.ru com.vkontakte.android", "vk"},
	{"Odnoklassniki", classSocial, "ok.ru", ""},
	{"WeChat", classSocial, "weixin.qq.com mp.weixin.qq.com com.tencent.mm", "wechat"},
	{"Weibo", classSocial, "weibo.com weibo.cn", "weibo"},
	{"Zhihu", classSocial, "zhihu.com com.zhihu.android", ""},
	{"QQ", classSocial, "qzone.qq.com com.tencent.mobileqq", "qq"},
	{"Xiaohongshu", classSocial, "xiaohongshu.com xhslink.com com.xingin.xhs", "xiaohongshu rednote"},
	{"Zalo", classSocial, "zalo.me com.zing.zalo", "zalo"},
	{"Viber", classSocial, "viber.com com.viber.voip", "viber"},
	{"Signal", classSocial, "signal.me org.thoughtcrime.securesms", ""},
	{"Nextdoor", classSocial, "nextdoor.com com.nextdoor", "nextdoor"},
	{"LINE", classSocial, "line.me jp.naver.line.android", "line"},
	{"KakaoTalk", classSocial, "kakao.com com.kakao.talk", "kakao kakaotalk"},
	{"XING", classSocial, "xing.com", "xing"},
	{"Stack Overflow", classSocial, "stackoverflow.com stackexchange.com serverfault.com superuser.com askubuntu.com", ""},
	{"Product Hunt", classSocial, "producthunt.com", "producthunt"},
	{"Medium", classSocial, "medium.com com.medium.reader", "medium"},
	{"Flipboard", classSocial, "flipboard.com flipboard.app", "flipboard"},
	{"GitHub", classNone, "github.com com.github.android", "github"},

	{"YouTube", classVideo, "youtube.com youtu.be com.google.android.youtube", "youtube yt"},
	{"TikTok", classVideo, "tiktok.com com.zhiliaoapp.musically com.ss.android.ugc.trill", "tiktok"},
	{"Vimeo", classVideo, "vimeo.com", "vimeo"},
	{"Dailymotion", classVideo, "dailymotion.com", "dailymotion"},
	{"Twitch", classVideo, "twitch.tv tv.twitch.android.app", "twitch"},
	{"Bilibili", classVideo, "bilibili.com", ""},
	{"Netflix", classVideo, "netflix.com", ""},

	{"Amazon", classShopping, with("amazon", amazonSuffixes) + " amzn.to com.amazon.mshop.android.shopping", "amazon"},
	{"eBay", classShopping, "ebay.com ebay.de ebay.co.uk ebay.fr ebay.it ebay.es ebay.ca ebay.com.au ebay.at ebay.ch ebay.nl ebay.pl ebay.ie", "ebay"},
	{"Etsy", classShopping, "etsy.com", "etsy"},
	{"AliExpress", classShopping, "aliexpress.com aliexpress.us aliexpress.ru", "aliexpress"},
	{"Alibaba", classShopping, "alibaba.com", "alibaba"},
	{"Walmart", classShopping, "walmart.com", "walmart"},
	{"Shopify", classShopping, "shopify.com myshopify.com shop.app", "shopify"},
	{"Mercado Libre", classShopping, "mercadolibre.com mercadolibre.com.ar mercadolibre.com.mx mercadolivre.com.br", ""},
	{"Google Shopping", classShopping, "shopping.google.com", "igshopping"},
	{"idealo", classShopping, "idealo.de idealo.fr idealo.it idealo.es idealo.co.uk idealo.at", "idealo"},

	{"Outlook", classEmail, "outlook.com outlook.live.com outlook.office.com outlook.office365.com com.microsoft.office.outlook", "outlook"},
	{"Proton Mail", classEmail, "mail.proton.me ch.protonmail.android", ""},
	{"Fastmail", classEmail, "app.fastmail.com fastmail.com", ""},
	{"GMX", classEmail, "gmx.net gmx.de gmx.com", ""},
	{"WEB.DE", classEmail, "web.de", ""},
	{"Mail.ru", classEmail, "e.mail.ru", ""},
}

// with returns name under each of the suffixes.
func with(name, suffixes string) string {
	var b strings.Builder
	for s := range strings.FieldsSeq(suffixes) {
		b.WriteString(" " + name + "." + s)
	}
	return b.String()[1:]
}

var sourceByHost, sourceByWord = func() (hosts, words map[string]source) {
	hosts, words = make(map[string]source), make(map[string]source)
	for _, spec := range sourceSpecs {
		s := source{spec.name, spec.class}
		for h := range strings.FieldsSeq(spec.hosts) {
			hosts[h] = s
		}
		for w := range strings.FieldsSeq(spec.words) {
			words[w] = s
		}
		if name := strings.ToLower(spec.name); !strings.Contains(name, " ") {
			words[name] = s
		}
	}
	return hosts, words
}()

// sourceOfHost names a referrer's host: a listed one, else the listed domain
// that it is a subdomain of, else itself. It compares whole labels, so that
// neither notgoogle.com nor google.com.example.net is Google.
func sourceOfHost(host string) source {
	for h := host; ; {
		if s, ok := sourceByHost[h]; ok {
			return s
		}
		_, parent, ok := strings.Cut(h, ".")
		if !ok || !strings.Contains(parent, ".") {
			return source{name: host}
		}
		h = parent
	}
}

// sourceOfPackage names an Android app: whole names only, since the prefix of
// a package is its maker and not its product.
func sourceOfPackage(name string) source {
	if s, ok := sourceByHost[name]; ok {
		return s
	}
	return source{name: name}
}

// sourceOfTag names what a link says of itself in utm_source, source or ref: a
// known word, a host, or the text as given.
func sourceOfTag(tag string) source {
	word := strings.ToLower(tag)
	if s, ok := sourceByWord[word]; ok {
		return s
	}
	if !strings.Contains(word, ".") || strings.Contains(word, " ") {
		return source{name: tag}
	}
	host := word
	if rest, scheme := cutScheme(word); scheme != "" {
		host = cutAtAny(rest, "/?#")
	}
	host = hostname(cutAtAny(host, "/?#"))
	if s := sourceOfHost(host); s.name != host {
		return s
	}
	if host != word {
		return source{name: host}
	}
	return source{name: tag}
}
