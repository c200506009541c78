package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/eider-analytics/eider/shared/enrich"
)

//go:embed labels/main.go.txt
var labeller []byte

// agents is the collection without labels: 75,158 user agents of the visitors
// of a video player, one a line, as they came.
const agents = "data/5.txt"

// every is which of them are taken: three parsers are slow.
const every = 5

// words of the parsers that mean the same.
var same = map[string]string{
	"IE": "Internet Explorer", "MobileSafari": "Safari", "Mobile Safari": "Safari", "Samsung": "Samsung Browser", "Yandex": "Yandex Browser",
	"UC Browser": "UCBrowser", "Silk": "Amazon Silk", "MacOSX": "macOS", "MacOS": "macOS", "CrOS": "ChromeOS", "Kindle": "Android",
	"WindowsPhone": "Windows Phone", "Windows Phone OS": "Windows Phone", "Computer": "Desktop", "Phone": "Mobile",
	"Android": "Android Browser", "Android browser": "Android Browser", "Opera Touch": "Opera", "Blackberry": "BlackBerry",
}

// majority compares with the labels that two of three other parsers agree on.
func majority(e *enrich.Enricher, dir string, verbose bool) (of [3]score, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, agents))
	if err != nil {
		return of, err
	}
	var input bytes.Buffer
	var list []string
	for i, ua := range strings.Split(string(raw), "\n") {
		if ua = strings.TrimSpace(ua); i%every == 0 && ua != "" {
			list = append(list, ua)
			input.WriteString(ua + "\n")
		}
	}
	out, err := label(&input)
	if err != nil {
		return of, err
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for _, ua := range list {
		var bot bool
		var words [3][]string
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &[]any{&bot, &words[0], &words[1], &words[2]}) != nil {
			return of, errors.New("the labels are fewer than the user agents")
		}
		if bot {
			continue
		}
		compare(e, sample{ua, agreed(words[0]), systemOf(agreed(words[1])), agreed(words[2])}, &of, verbose)
	}
	return of, nil
}

// systemOf takes the browser's word for the system that has the same.
func systemOf(word string) string {
	if word == "Android Browser" {
		return "Android"
	}
	return word
}

// agreed is the word that at least two of three say, or "".
func agreed(words []string) string {
	count := map[string]int{}
	for _, w := range words {
		if known, ok := same[w]; ok {
			w = known
		}
		if count[w]++; count[w] == 2 && w != "" && w != "Unknown" {
			return w
		}
	}
	return ""
}

// label runs the three parsers, in a module of their own: nothing of ours
// depends on them.
func label(input *bytes.Buffer) ([]byte, error) {
	dir, err := os.MkdirTemp("", "labels")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	mod := "module labels\n\ngo 1.24\n\nrequire (\n"
	for _, m := range parsers {
		mod += fmt.Sprintf("\t%s %s\n", m[0], m[1])
	}
	for name, content := range map[string][]byte{"go.mod": []byte(mod + ")\n"), "main.go": labeller} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command("go", "run", "-mod=mod", ".")
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, input, os.Stderr
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	return cmd.Output()
}
