// Command clients measures how well browsers, systems and devices are told by
// their user agents, on public collections that our lists were not made from.
//
//	go run ./bench/clients [-v]
//
// One is of a real audience and has no labels: there, what two of three other
// parsers agree on is the label. The others are the tables that such parsers'
// own tests go by: every odd device that somebody once wrote down. The modules
// come through the Go command. Bots are left out, which are another question; a
// label that only means "unknown to that parser" is none. Labels are often
// coarser than ours: Chrome's engine inside of an app is "Chrome" to them.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

// parsers are the modules, with their versions.
var parsers = [][2]string{
	{"github.com/medama-io/go-useragent", "v1.2.3"},
	{"github.com/avct/uasurfer", "v0.0.0-20250506104815-f2613aa2d406"},
	{"github.com/mileusna/useragent", "v1.3.5"},
}

// tables are the files with labelled rows, by module.
var tables = map[string]string{
	"github.com/medama-io/go-useragent": "data/cases.go",
	"github.com/avct/uasurfer":          "uasurfer_test.go",
}

// sample is one user agent with its labels; "" = none.
type sample struct{ agent, browser, os, device string }

func main() {
	verbose := flag.Bool("v", false, "print what differs")
	flag.Parse()
	if err := run(*verbose); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(verbose bool) error {
	e, err := enrich.New(enrich.Config{})
	if err != nil {
		return err
	}
	defer e.Close()
	line := func(what string, browser, os, device any) {
		fmt.Printf("%-46s %18s %18s %18s\n", what, browser, os, device)
	}
	line("", "browser family", "system", "device class")
	for i, m := range parsers {
		dir, err := download(m[0], m[1])
		if err != nil {
			return err
		}
		if i == 0 {
			of, err := majority(e, dir, verbose)
			if err != nil {
				return err
			}
			line("real audience, majority of three parsers", of[0], of[1], of[2])
		}
		if tables[m[0]] == "" {
			continue
		}
		samples, err := read(filepath.Join(dir, tables[m[0]]))
		if err != nil {
			return err
		}
		var of [3]score
		for _, s := range samples {
			compare(e, s, &of, verbose)
		}
		line("table of "+m[0], of[0], of[1], of[2])
	}
	return nil
}

// download returns the directory of a module in the cache.
func download(module, version string) (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", module+"@"+version).Output()
	var info struct{ Dir, Error string }
	if e := json.Unmarshal(out, &info); e != nil {
		return "", fmt.Errorf("%s: %w", module, errors.Join(err, e))
	}
	if info.Error != "" {
		return "", fmt.Errorf("%s: %s", module, info.Error)
	}
	return info.Dir, nil
}

// read finds the table's rows: composite literals with a user agent and
// identifiers like BrowserChrome, OSLinux, DeviceTablet.
func read(path string) ([]sample, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var list []sample
	ast.Inspect(file, func(n ast.Node) bool {
		row, ok := n.(*ast.CompositeLit)
		if !ok || row.Type != nil {
			return true
		}
		if s, ok := readRow(row); ok {
			list = append(list, s)
		}
		return false
	})
	if len(list) < 30 {
		return nil, fmt.Errorf("%s has %d rows that can be read: its form has changed", path, len(list))
	}
	return list, nil
}

func readRow(row *ast.CompositeLit) (s sample, ok bool) {
	ast.Inspect(row, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			// The longest text of a row is the user agent: names are shorter.
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && len(text) > len(s.agent) && strings.Contains(text, "/") {
				s.agent = text
			}
		case *ast.Ident:
			for _, l := range []struct {
				prefix string
				to     *string
			}{{"Browser", &s.browser}, {"OS", &s.os}, {"Device", &s.device}} {
				if name, is := strings.CutPrefix(n.Name, l.prefix); is && name != "" {
					*l.to = name
				}
			}
		}
		return true
	})
	return s, s.agent != "" && s.browser+s.os+s.device != ""
}

// names are the words that we use for the tables' labels. A label that is not
// here is taken by its own name.
var names = map[string][]string{
	"Android": {"Android", "Android Browser", "Android WebView"}, "Android Browser": {"Android Browser", "Android WebView"},
	"Chrome": {"Chrome", "Chromium", "Android WebView", "Brave", "QtWebEngine"}, "Firefox": {"Firefox", "Firefox Focus", "SeaMonkey", "GNOME Web"},
	"IE": {"Internet Explorer", "Edge"}, "Opera": {"Opera", "Opera Mini", "Opera GX"}, "Safari": {"Safari", "iOS WebView", "macOS WebView"},
	"Samsung Browser": {"Samsung Internet"}, "Amazon Silk": {"Silk"}, "Facebook App": {"Facebook"}, "Instagram App": {"Instagram"},
	"Samsung": {"Samsung Internet"}, "Yandex": {"Yandex Browser"}, "UCBrowser": {"UC Browser"}, "QQ": {"QQ Browser", "QQ"},
	"CocCoc": {"Cốc Cốc"}, "Blackberry": {"BlackBerry", "BlackBerry OS"}, "Nintendo": {"Nintendo", "Nintendo Browser"},
	"MacOSX": {"macOS"}, "MacOS": {"macOS"}, "IOS": {"iOS"}, "WebOS": {"webOS"}, "Kindle": {"Android"}, "WindowsPhone": {"Windows Phone"},
	"Playstation": {"PlayStation"}, "Xbox": {"Windows", "Xbox"},
	"Computer": {"desktop"}, "Desktop": {"desktop"}, "Phone": {"mobile"}, "Mobile": {"mobile"}, "Tablet": {"tablet"}, "TV": {"tv"},
	"Console": {"console"}, "Wearable": {"wearable"},
}

// inApp are browsers inside of apps, of which the labels often say only the
// engine.
var inApp = map[string]bool{
	"Facebook": true, "Instagram": true, "TikTok": true, "Google App": true, "Snapchat": true, "Pinterest": true, "LINE": true, "WeChat": true,
	"X": true, "LinkedIn": true, "Threads": true, "KakaoTalk": true, "Naver": true, "Telegram": true, "Reddit": true, "QQ": true,
}

type score struct{ right, of int }

func (s score) String() string {
	if s.of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %% of %d", 100*float64(s.right)/float64(s.of), s.of)
}

func compare(e *enrich.Enricher, s sample, to *[3]score, verbose bool) {
	if strings.Contains(s.browser+s.os+s.device, "Bot") {
		return
	}
	o := shared.Observation{Site: "bench", Time: 1_800_000_000_000_000, UserAgent: s.agent}
	var got shared.Event
	e.Enrich(&o, &got)
	for i, l := range []struct{ what, label, got string }{
		{"browser", s.browser, got.Browser}, {"system", s.os, got.OS}, {"device", s.device, got.DeviceType},
	} {
		if l.label == "" || l.label == "Unknown" {
			continue
		}
		want := names[l.label]
		if want == nil {
			want = []string{l.label}
		}
		to[i].of++
		if slices.Contains(want, l.got) || i == 0 && inApp[l.got] && (l.label == "Chrome" || l.label == "Safari") {
			to[i].right++
		} else if verbose {
			fmt.Printf("%s %q, labelled %s: %s\n", l.what, l.got, l.label, s.agent)
		}
	}
}
