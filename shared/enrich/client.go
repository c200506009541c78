package enrich

import (
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// brands of Sec-CH-UA that are more than Chromium. Generic names only confirm
// what the user agent says.
var brands = map[string]string{
	"Brave":                "Brave",
	"Microsoft Edge":       "Edge",
	"Opera":                "Opera",
	"Opera GX":             "Opera GX",
	"Vivaldi":              "Vivaldi",
	"Samsung Internet":     "Samsung Internet",
	"YaBrowser":            "Yandex Browser",
	"Yandex":               "Yandex Browser",
	"DuckDuckGo":           "DuckDuckGo",
	"Whale":                "Whale",
	"CocCoc":               "Cốc Cốc",
	"Meta Quest Browser":   "Meta Quest Browser",
	"Oculus Browser":       "Meta Quest Browser",
	"HuaweiBrowser":        "Huawei Browser",
	"MiuiBrowser":          "MIUI Browser",
	"Avast Secure Browser": "Avast Secure Browser",
	"AVG Secure Browser":   "AVG Secure Browser",
	"Ecosia":               "Ecosia",
	"Arc":                  "Arc",
}

// describe fills the client columns: Client Hints first, then the user agent.
func (e *Enricher) describe(o *shared.Observation, dst *shared.Event) *client {
	c := e.clients.get(cutUserAgent(o.UserAgent), parseClient)
	dst.Browser, dst.BrowserVersion = shared.Cut(c.browser, shared.MaxShort), c.browserVersion
	dst.OS, dst.OSVersion = c.os, c.osVersion
	dst.DeviceType = c.device
	if o.CHUA != "" && c.app == "" {
		if name, v := brand(o.CHUA); name != "" {
			dst.Browser, dst.BrowserVersion = name, v
		}
	}
	if o.CHUAPlatform != "" {
		hintedOS(o, dst)
	}
	switch {
	case dst.DeviceType == "console" || dst.DeviceType == "tv" || dst.DeviceType == "wearable":
	case o.CHUAMobile == "?1":
		dst.DeviceType = "mobile"
	case o.CHUAMobile == "?0" && dst.OS == "Android":
		dst.DeviceType = "tablet"
	}
	return c
}

// hintedOS takes the system from Sec-CH-UA-Platform and its version, which are
// not frozen.
func hintedOS(o *shared.Observation, dst *shared.Event) {
	v := version(unquote(o.CHUAPlatformVer))
	name := ""
	switch unquote(o.CHUAPlatform) {
	case "Windows":
		name = "Windows"
		v = hintedWindows(v)
	case "macOS":
		name = "macOS"
	case "Android":
		name = "Android"
	case "iOS":
		name = "iOS"
	case "Chrome OS", "Chromium OS":
		name, v = "ChromeOS", ""
	case "Linux":
		name, v = "Linux", ""
	default:
		return
	}
	if name != dst.OS {
		dst.OS, dst.OSVersion = name, ""
		if name == "Android" && dst.DeviceType == "desktop" {
			dst.DeviceType = "tablet" // "request desktop site"; Sec-CH-UA-Mobile corrects it
		}
	}
	if v != "" {
		dst.OSVersion = v
	}
}

// hintedWindows maps the version of Windows' API contract, which is what
// Chromium sends, to the name that people know.
func hintedWindows(v string) string {
	major, _, _ := strings.Cut(v, ".")
	switch {
	case v == "0.1":
		return "7"
	case v == "0.2":
		return "8"
	case v == "0.3":
		return "8.1"
	case len(major) == 1 && major >= "1", major == "10":
		return "10"
	case len(major) == 2 && major >= "13":
		return "11"
	}
	return ""
}

// brand returns the first brand of a Sec-CH-UA list that is more than Chromium,
// as `"Brave";v="156"`.
func brand(list string) (name, v string) {
	for range 8 { // a real list has three or four
		item, rest, more := cutListItem(list)
		quoted, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if known, ok := brands[unquote(quoted)]; ok {
			if _, after, ok := strings.Cut(params, "v="); ok {
				v = version(unquote(after))
			}
			return known, v
		}
		if !more {
			break
		}
		list = rest
	}
	return "", ""
}

// cutListItem cuts at the first comma outside of quotes: the filler brand may
// contain any of them.
func cutListItem(s string) (item, rest string, more bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return s[:i], s[i+1:], true
			}
		}
	}
	return s, "", false
}

func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

func cutUserAgent(ua string) string {
	if len(ua) > maxUserAgent {
		return ua[:maxUserAgent]
	}
	return ua
}
