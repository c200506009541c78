package enrich

import (
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestClients(t *testing.T) {
	const android = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
	for _, c := range []struct{ ua, browser, browserVersion, os, osVersion, device string }{
		{chrome, "Chrome", "156", "Windows", "", "desktop"},
		{android + "Chrome/156.0.0.0 Mobile Safari/537.36", "Chrome", "156", "Android", "", "mobile"},
		{android + "Chrome/156.0.0.0 Safari/537.36", "Chrome", "156", "Android", "", "tablet"},
		{android + "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", "Samsung Internet", "28", "Android", "", "mobile"},
		{"Mozilla/5.0 (Linux; Android 13; Redmi Note 10S Build/RP1A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/89.0.4389.116 Mobile Safari/537.36 XiaoMi/MiuiBrowser/12.13.2", "MIUI Browser", "12.13", "Android", "13", "mobile"},
		{"Mozilla/5.0 (Linux; Android 10; MED-LX9N; HMSCore 6.6.0.311) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/92.0.4515.105 HuaweiBrowser/12.1.0.303 Mobile Safari/537.36", "Huawei Browser", "12.1", "Android", "10", "mobile"},
		{"Mozilla/5.0 (Linux; U; Android 11; en-US; M2006) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.5.8.1311 Mobile Safari/537.36", "UC Browser", "13.5", "Android", "11", "mobile"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 YaBrowser/23.5.1.717 Yowser/2.5 Safari/537.36", "Yandex Browser", "23.5", "Windows", "", "desktop"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0", "Edge", "156", "Windows", "", "desktop"},
		{"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/59.0.3071.115 Safari/537.36 OPR/46.0.2597.57", "Opera", "46", "Windows", "7", "desktop"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_12_6) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0.3112.91 Safari/537.36 Vivaldi/1.92.917.39", "Vivaldi", "1.92", "macOS", "10.12", "desktop"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15", "Safari", "18.4", "macOS", "", "desktop"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Mobile/15E148 Safari/604.1", "Safari", "17.4", "iOS", "17.4", "mobile"},
		{"Mozilla/5.0 (iPad; CPU OS 7_0_4 like Mac OS X) AppleWebKit/537.51.1 (KHTML, like Gecko) CriOS/32.0.1700.21 Mobile/11B554a Safari/9537.53", "Chrome", "32", "iOS", "7", "tablet"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_2 like Mac OS X) AppleWebKit/603.2.4 (KHTML, like Gecko) FxiOS/8.1.1b4948 Mobile/14F89 Safari/603.2.4", "Firefox", "8.1", "iOS", "10.3", "mobile"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 16_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 270.0.0.13.83 (iPhone13,2; iOS 16_3)", "Instagram", "270", "iOS", "16.3", "mobile"},
		{"Mozilla/5.0 (Linux; Android 13; SM-T220 Build/TP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/109.0.5414.117 Safari/537.36 [FB_IAB/FB4A;FBAV/400.0.0.37.76;]", "Facebook", "400", "Android", "13", "tablet"},
		{"Mozilla/5.0 (Linux; Android 13; SM-A528B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0.5615.101 Mobile Safari/537.36", "Android WebView", "112", "Android", "13", "mobile"},
		{"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "140", "Linux", "", "desktop"},
		{"Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox", "140", "Android", "14", "mobile"},
		{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36", "Chrome", "156", "ChromeOS", "", "desktop"},
		{"Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", "11", "Windows", "7", "desktop"},
		{"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", "Internet Explorer", "6", "Windows", "XP", "desktop"},
		{"Opera/9.80 (X11; Linux x86_64) Presto/2.12.388 Version/12.16", "Opera", "12.16", "Linux", "", "desktop"},
		{"Opera/9.80 (Android; Opera Mini/28.0.2254/66.318; U; en) Presto/2.12.423 Version/12.16", "Opera Mini", "28", "Android", "", "mobile"},
		{"Mozilla/5.0 (Linux; U; Android 4.3; es-es; GT-I9300 Build/JSS15J) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30", "Android Browser", "4", "Android", "4.3", "mobile"},
		{"Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/6.0 TV Safari/537.36", "Safari", "6", "Tizen", "6", "tv"},
		{"Mozilla/5.0 (PlayStation; PlayStation 5/6.50) AppleWebKit/605.1.15 (KHTML, like Gecko)", "", "", "PlayStation", "", "console"},
		{"Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0; Touch; Tablet PC 2.0)", "Internet Explorer", "10", "Windows", "8", "desktop"},
		{android + "Chrome/130.0.0.0 Mobile Safari/537.36 VivoBrowser/14.0.2.3", "Vivo Browser", "14", "Android", "", "mobile"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/20A362 Weibo (iPhone14,3__weibo__13.5.2__iphone__os16.0)", "Weibo", "13.5", "iOS", "16", "mobile"},
		{"Mozilla/5.0 (Linux; Android 12; V2055A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/97.0 MQQBrowser/6.2 TBS/046 Mobile Safari/537.36 V1_AND_SQ_8.9 QQ/8.9.50.10650 NetType/WIFI", "QQ", "8.9", "Android", "12", "mobile"},
		{"Mozilla/5.0 (Linux; Android 12; V2055A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/97.0.4692.98 Mobile Safari/537.36 baiduboxapp/13.24.0.10", "Baidu", "13.24", "Android", "12", "mobile"},
		{"", "", "", "", "", ""},
		{"nonsense", "", "", "", "", ""},
	} {
		got := parseClient(c.ua)
		got.app = ""
		if want := (client{c.browser, c.browserVersion, c.os, c.osVersion, c.device, ""}); got != want {
			t.Errorf("%q\n got %+v\nwant %+v", c.ua, got, want)
		}
	}
}

func TestClientHintsComeFirst(t *testing.T) {
	const android = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36"
	for _, c := range []struct {
		what string
		o    shared.Observation
		want [5]string // browser, version, system, version, device
	}{
		{
			"Brave calls itself Chrome in the user agent",
			shared.Observation{UserAgent: chrome, CHUA: `"Chromium";v="156", "Brave";v="156", "Not?A,_Brand";v="24"`, CHUAMobile: "?0", CHUAPlatform: `"Windows"`},
			[5]string{"Brave", "156", "Windows", "", "desktop"},
		},
		{
			"Chrome is told by the user agent",
			shared.Observation{UserAgent: chrome, CHUA: `"Chromium";v="156", "Google Chrome";v="156"`, CHUAPlatform: `"Windows"`, CHUAPlatformVer: `"10.0.0"`},
			[5]string{"Chrome", "156", "Windows", "10", "desktop"},
		},
		{
			"Windows 11 hides behind NT 10.0",
			shared.Observation{UserAgent: chrome, CHUAPlatform: `"Windows"`, CHUAPlatformVer: `"13.0.0"`},
			[5]string{"Chrome", "156", "Windows", "11", "desktop"},
		},
		{
			"Android's version and tablets",
			shared.Observation{UserAgent: android, CHUAMobile: "?0", CHUAPlatform: `"Android"`, CHUAPlatformVer: `"15.0.0"`},
			[5]string{"Chrome", "156", "Android", "15", "tablet"},
		},
		{
			"a phone that asks for the desktop's page",
			shared.Observation{UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36", CHUAMobile: "?1", CHUAPlatform: `"Android"`},
			[5]string{"Chrome", "156", "Android", "", "mobile"},
		},
		{
			"hints of garbage change nothing",
			shared.Observation{UserAgent: chrome, CHUA: `";v=,,,"`, CHUAMobile: "maybe", CHUAPlatform: `Plan 9`, CHUAPlatformVer: "x"},
			[5]string{"Chrome", "156", "Windows", "", "desktop"},
		},
	} {
		e := newEnricher(t)
		var got shared.Event
		e.Enrich(&c.o, &got)
		if g := [5]string{got.Browser, got.BrowserVersion, got.OS, got.OSVersion, got.DeviceType}; g != c.want {
			t.Errorf("%s: %q, want %q", c.what, g, c.want)
		}
	}
}
