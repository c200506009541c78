package enrich

import "strings"

// client is what one user agent says about browser, system and device.
type client struct {
	browser, browserVersion string
	os, osVersion           string
	device                  string
	app                     string // source that an in-app browser stands for
}

// family is a browser that a product token tells. Version is what follows the
// token.
type family struct{ token, name, app string }

// families in the order in which they are looked for: whatever builds on
// another browser and carries its token too comes before it.
var families = []family{
	// Browsers inside of apps: also the source of a visit without referrer.
	{"FBAV/", "Facebook", "Facebook"},
	{"FBAN/", "Facebook", "Facebook"},
	{"FB_IAB/", "Facebook", "Facebook"},
	{"Instagram ", "Instagram", "Instagram"},
	{"Barcelona ", "Threads", "Threads"},
	{"musical_ly_", "TikTok", "TikTok"},
	{"TikTok ", "TikTok", "TikTok"},
	{"BytedanceWebview/", "TikTok", "TikTok"},
	{"TwitterAndroid", "X", "X"},
	{"Twitter for ", "X", "X"},
	{"LinkedInApp", "LinkedIn", "LinkedIn"},
	{"Snapchat/", "Snapchat", "Snapchat"},
	{"[Pinterest/", "Pinterest", "Pinterest"},
	{"Pinterest for ", "Pinterest", "Pinterest"},
	{"MicroMessenger/", "WeChat", "WeChat"},
	{"Line/", "LINE", "LINE"},
	{"KAKAOTALK", "KakaoTalk", "KakaoTalk"},
	{"NAVER(inapp", "Naver", "Naver"},
	{"DaumApps/", "Daum", "Daum"},
	{"Telegram-Android/", "Telegram", "Telegram"},
	{"__weibo__", "Weibo", "Weibo"},
	{"Weibo (", "Weibo", "Weibo"},
	{" QQ/", "QQ", "QQ"},
	{"baiduboxapp/", "Baidu", "Baidu"},
	{"Zalo ", "Zalo", "Zalo"},
	{"Viber/", "Viber", "Viber"},
	{"Discord/", "Discord", "Discord"},
	{"Nextdoor", "Nextdoor", "Nextdoor"},
	{"Bluesky/", "Bluesky", "Bluesky"},
	{"GSA/", "Google App", "Google"},
	{"RedditAndroid", "Reddit", "Reddit"},
	{"Reddit/", "Reddit", "Reddit"},

	// Browsers on Chromium and WebKit that add a name of their own.
	{"EdgiOS/", "Edge", ""},
	{"EdgA/", "Edge", ""},
	{"Edg/", "Edge", ""},
	{"Edge/", "Edge", ""},
	{"OPRGX/", "Opera GX", ""},
	{"OPX/", "Opera GX", ""},
	{"OPR/", "Opera", ""},
	{"OPT/", "Opera", ""},
	{"OPiOS/", "Opera Mini", ""},
	{"Opera Mini/", "Opera Mini", ""},
	{"Vivaldi/", "Vivaldi", ""},
	{"SamsungBrowser/", "Samsung Internet", ""},
	{"YaBrowser/", "Yandex Browser", ""},
	{"YaSearchBrowser/", "Yandex Browser", ""},
	{"UCBrowser/", "UC Browser", ""},
	{"UBrowser/", "UC Browser", ""},
	{"UCWEB/", "UC Browser", ""},
	{"UC Browser", "UC Browser", ""},
	{"HuaweiBrowser/", "Huawei Browser", ""},
	{"MiuiBrowser/", "MIUI Browser", ""},
	{"VivoBrowser/", "Vivo Browser", ""},
	{"HeyTapBrowser/", "HeyTap Browser", ""},
	{"OculusBrowser/", "Meta Quest Browser", ""},
	{"PicoBrowser/", "Pico Browser", ""},
	{"DuckDuckGo/", "DuckDuckGo", ""},
	{"Ddg/", "DuckDuckGo", ""},
	{"Brave/", "Brave", ""},
	{"Whale/", "Whale", ""},
	{"coc_coc_browser/", "Cốc Cốc", ""},
	{"MQQBrowser/", "QQ Browser", ""},
	{"QQBrowser/", "QQ Browser", ""},
	{"MetaSr ", "Sogou Explorer", ""},
	{"QIHU 360", "360 Browser", ""},
	{"360SE", "360 Browser", ""},
	{"Maxthon/", "Maxthon", ""},
	{"MxBrowser/", "Maxthon", ""},
	{"Puffin/", "Puffin", ""},
	{"Silk/", "Silk", ""},
	{"Ecosia ", "Ecosia", ""},
	{"AvastSecureBrowser/", "Avast Secure Browser", ""},
	{"Avast/", "Avast Secure Browser", ""},
	{"AVG/", "AVG Secure Browser", ""},
	{"Iron/", "Iron", ""},
	{"Electron/", "Electron", ""},
	{"Falkon/", "Falkon", ""},
	{"QtWebEngine/", "QtWebEngine", ""},
	{"Epiphany/", "GNOME Web", ""},
	{"Konqueror/", "Konqueror", ""},
	{"Midori/", "Midori", ""},
	{"NintendoBrowser/", "Nintendo Browser", ""},
	{"NF/", "Nintendo Browser", ""},

	// Firefox and what is made of it.
	{"Focus/", "Firefox Focus", ""},
	{"Klar/", "Firefox Focus", ""},
	{"FxiOS/", "Firefox", ""},
	{"PaleMoon/", "Pale Moon", ""},
	{"SeaMonkey/", "SeaMonkey", ""},
	{"Waterfox/", "Waterfox", ""},
	{"LibreWolf/", "LibreWolf", ""},
	{"Firefox/", "Firefox", ""},
	{"Iceweasel/", "Firefox", ""},

	// The rest.
	{"CriOS/", "Chrome", ""},
	{"Chromium/", "Chromium", ""},
	{"Opera/", "Opera", ""},
	{"MSIE ", "Internet Explorer", ""},
	{"BB10", "BlackBerry", ""},
	{"BlackBerry", "BlackBerry", ""},
	{"NetSurf/", "NetSurf", ""},
	{"Dillo/", "Dillo", ""},
	{"ELinks/", "ELinks", ""},
	{"Lynx/", "Lynx", ""},
	{"Links (", "Links", ""},
	{"w3m/", "w3m", ""},
	{"Chrome/", "Chrome", ""},
}

// parseClient reads a user agent. Unknown parts stay empty.
func parseClient(ua string) client {
	var c client
	c.os, c.osVersion = parseOS(ua)
	c.device = parseDevice(ua, c.os)
	c.browser, c.browserVersion, c.app = parseBrowser(ua, c.os)
	return c
}

func parseBrowser(ua, os string) (name, v, app string) {
	for i := range families {
		f := &families[i]
		at := strings.Index(ua, f.token)
		if at < 0 || at > 0 && alnum(ua[at-1]) && alnum(f.token[0]) {
			continue
		}
		v = version(ua[at+len(f.token):])
		switch {
		case f.name == "Opera":
			if own := after(ua, "Version/"); own != "" && strings.HasPrefix(ua, "Opera/9.80") {
				v = version(own) // Opera 10 and later say 9.80 at first
			}
		case f.name == "Chrome" && strings.Contains(ua, "; wv)"):
			return "Android WebView", v, ""
		case f.name == "Firefox" && v == "":
			continue
		case v == "":
			v = version(after(ua, "Version/"))
		}
		return f.name, v, f.app
	}
	switch {
	case strings.Contains(ua, "Trident/"):
		return "Internet Explorer", version(after(ua, "rv:")), ""
	case !strings.Contains(ua, "AppleWebKit"):
		return "", "", ""
	case os == "Android":
		return "Android Browser", version(after(ua, "Version/")), ""
	case strings.Contains(ua, "Safari/"):
		return "Safari", version(after(ua, "Version/")), ""
	case os == "iOS", os == "macOS":
		return os + " WebView", "", ""
	}
	return "", "", ""
}

// parseOS reads system and version. Versions that browsers have frozen are no
// knowledge: Windows 11 says NT 10.0, every macOS since 11 says 10.15.7, and
// Chrome's reduced user agent says Android 10; Client Hints tell them apart.
func parseOS(ua string) (name, v string) {
	switch {
	case strings.Contains(ua, "Windows Phone"):
		return "Windows Phone", version(strings.TrimPrefix(after(ua, "Windows Phone "), "OS "))
	case strings.Contains(ua, "Windows NT "):
		return "Windows", windowsVersion(after(ua, "Windows NT "))
	case strings.Contains(ua, "Windows"), strings.Contains(ua, "Win98"), strings.Contains(ua, "WinNT"):
		return "Windows", ""
	case strings.Contains(ua, "CrOS "):
		return "ChromeOS", ""
	case strings.Contains(ua, "OpenHarmony"), strings.Contains(ua, "HarmonyOS"):
		return "HarmonyOS", version(after(ua, "OpenHarmony "))
	case strings.Contains(ua, "KAIOS/"):
		return "KaiOS", version(after(ua, "KAIOS/"))
	case strings.Contains(ua, "Tizen"):
		return "Tizen", version(after(ua, "Tizen "))
	case strings.Contains(ua, "Web0S"), strings.Contains(ua, "webOS/"), strings.Contains(ua, "webOS.TV"):
		return "webOS", ""
	case strings.Contains(ua, "Android"):
		if strings.Contains(ua, "Android 10; K)") {
			return "Android", ""
		}
		return "Android", version(after(ua, "Android "))
	case strings.Contains(ua, "iPhone"), strings.Contains(ua, "iPad"), strings.Contains(ua, "iPod"):
		return "iOS", version(strings.ReplaceAll(cutAtAny(after(ua, " OS "), " ;)"), "_", "."))
	case strings.Contains(ua, "PlayStation"), strings.Contains(ua, "PLAYSTATION"):
		return "PlayStation", ""
	case strings.Contains(ua, "Nintendo"):
		return "Nintendo", ""
	case strings.Contains(ua, "Mac OS X"), strings.Contains(ua, "Macintosh"):
		mac := after(ua, "Mac OS X ")
		if strings.HasPrefix(mac, "10_15_7") || strings.HasPrefix(mac, "10.15;") {
			return "macOS", ""
		}
		return "macOS", version(strings.ReplaceAll(cutAtAny(mac, " ;)"), "_", "."))
	case strings.Contains(ua, "FreeBSD"):
		return "FreeBSD", ""
	case strings.Contains(ua, "OpenBSD"):
		return "OpenBSD", ""
	case strings.Contains(ua, "NetBSD"):
		return "NetBSD", ""
	case strings.Contains(ua, "SunOS"):
		return "Solaris", ""
	case strings.Contains(ua, "Silk"):
		return "Android", "" // Silk in its desktop mode hides the system
	case strings.Contains(ua, "Linux"), strings.Contains(ua, "X11"), strings.Contains(ua, "Ubuntu"):
		return "Linux", ""
	case strings.Contains(ua, "BlackBerry"), strings.Contains(ua, "BB10"):
		return "BlackBerry OS", ""
	case strings.Contains(ua, "Symbian"), strings.Contains(ua, "SymbOS"):
		return "Symbian", ""
	}
	return "", ""
}

// windowsVersion names a Windows by its kernel's version.
func windowsVersion(nt string) string {
	switch cutAtAny(nt, " ;)") {
	case "10.0":
		return "" // 10 or 11
	case "6.3":
		return "8.1"
	case "6.2":
		return "8"
	case "6.1":
		return "7"
	case "6.0":
		return "Vista"
	case "5.1", "5.2":
		return "XP"
	case "5.0":
		return "2000"
	}
	return ""
}

// parseDevice reads the class of device. An iPad that asks for the desktop's
// page calls itself a Macintosh and is taken for one.
func parseDevice(ua, os string) string {
	switch {
	case anyOf(ua, "PlayStation", "PLAYSTATION", "Nintendo", "Xbox"):
		return "console"
	case anyOf(ua, "SmartTV", "SMART-TV", "Smart-TV", "Smart TV", "SmartHub", "AppleTV", "Apple TV", "HbbTV", "NetCast", "BRAVIA",
		"GoogleTV", "Google TV", "Android TV", "AndroidTV", "CrKey", "Roku", "Web0S", "webOS.TV", "AFTB", "AFTM", "AFTS", "AFTT",
		"MiTV", "MIBOX", "VIDAA", "Viera", "DLNADOC", "TV Safari", "Tizen/TV"),
		os == "Tizen" && strings.Contains(ua, "TV"):
		return "tv"
	case anyOf(ua, "Apple Watch", "Watch OS", "OculusBrowser/", "PicoBrowser/"):
		return "wearable"
	case anyOf(ua, "iPad", "Kindle", "PlayBook"),
		strings.Contains(ua, "Tablet") && !strings.Contains(ua, "Tablet PC"):
		return "tablet"
	case anyOf(ua, "Mobile", "Mobi", "iPhone", "iPod", "Opera Mini", "MIDP", "BlackBerry", "BB10", "Windows Phone", "Symbian",
		"UCWEB/", "Nokia", "WAP Browser", "UP.Browser", "DoCoMo", "SonyEricsson"):
		return "mobile"
	case os == "Android", os == "HarmonyOS", strings.Contains(ua, "Silk/"):
		return "tablet" // phones say Mobile
	case os == "KaiOS", os == "Tizen":
		return "mobile"
	case os != "":
		return "desktop"
	}
	return ""
}

// version returns the leading number of s: at most two parts, and only one
// where the second is zero, as Chromium's always is.
func version(s string) string {
	dot := -1
	end := 0
	for end < len(s) && end < 16 {
		switch c := s[end]; {
		case c >= '0' && c <= '9':
		case c == '.' && dot < 0 && end > 0:
			dot = end
		default:
			return trimVersion(s[:end], dot)
		}
		end++
	}
	return trimVersion(s[:end], dot)
}

func trimVersion(s string, dot int) string {
	if dot >= 0 && strings.Trim(s[dot+1:], "0") == "" {
		return s[:dot]
	}
	return s
}

// after returns what follows the first mark in s, or "".
func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}

func cutAtAny(s, chars string) string {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i]
	}
	return s
}

func anyOf(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
