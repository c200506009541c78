package script

import (
	"bytes"
	"embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/js"
)

//go:embed *.js
var sources embed.FS

// Parts are what a page may ask for beside the base, by the names that
// attributes (data-outbound) and queries (?outbound) have for them.
var Parts = []string{"outbound", "files", "forms", "engagement", "vitals", "404"}

// partFiles are the sources of each part; what several need comes once.
var partFiles = map[string][]string{
	"outbound":   {"links.js", "outbound.js"},
	"files":      {"links.js", "files.js"},
	"forms":      {"forms.js"},
	"engagement": {"engagement.js"},
	"vitals":     {"vitals.js"},
	"404":        {"missing.js"},
}

// isPart tells the last file of a part from what it shares with others.
func isPart(file string) bool {
	for _, files := range partFiles {
		if files[len(files)-1] == file {
			return true
		}
	}
	return false
}

// variant is one file that is served: the base with parts, or, as an addition
// to a file that is there, only parts. Parts are bits, in the order of Parts.
type variant struct {
	parts    uint8
	addition bool
}

// additionMark begins the query of an addition.
const additionMark = "+"

// parse reads a query: names of parts, separated by & or commas, others
// ignored (people add versions to addresses). "?+" asks for an addition, in
// which a name with a minus is one that is there already.
func parse(rawQuery string) variant {
	// No list of ours is longer, and what follows is the work of one request.
	const longest = 1024
	rest, addition := strings.CutPrefix(rawQuery[:min(len(rawQuery), longest)], additionMark)
	v := variant{addition: addition}
	var there uint8
	for name := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == '&' || r == ',' }) {
		name, _, _ = strings.Cut(name, "=")
		name, minus := strings.CutPrefix(name, "-")
		for i, part := range Parts {
			switch {
			case name != part:
			case minus:
				there |= 1 << i
			default:
				v.parts |= 1 << i
			}
		}
	}
	if addition {
		v.parts &^= there
	}
	return v
}

// names lists the parts of a variant, or those that it lacks.
func (v variant) names(has bool) []string {
	var list []string
	for i, part := range Parts {
		if (v.parts&(1<<i) != 0) == has {
			list = append(list, part)
		}
	}
	return list
}

// files lists the sources of a variant, in their order.
func (v variant) files() []string {
	var list []string
	add := func(names ...string) {
		for _, name := range names {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	if !v.addition {
		add("base.js")
	}
	for _, part := range v.names(true) {
		add(partFiles[part]...)
	}
	if !v.addition {
		if len(v.names(false)) > 0 {
			add("more.js")
		}
		add("start.js")
	}
	return list
}

// placeholder is a name in the sources that stands for a constant of the file.
var placeholder = regexp.MustCompile(`\b(?:ENDPOINT|MISSING|MODULE)\b`)

// assemble puts a variant together, readable: one function of which nothing
// can be seen from the page and out of which nothing is thrown.
func (v variant) assemble(endpoint string) []byte {
	constants := map[string]string{"ENDPOINT": string(quote(endpoint))}
	if missing := v.names(false); len(missing) == len(Parts) {
		// No other attribute has one of these letters: every byte counts here.
		constants["MISSING"], constants["MODULE"] = "/[fnv4]/", `"?+"`
	} else {
		constants["MISSING"] = "/" + strings.Join(missing, "|") + "/"
		constants["MODULE"] = `"?+-` + strings.Join(v.names(true), ",-") + `,"`
	}
	var b bytes.Buffer
	b.WriteString("{\n")
	b.Write(source("prologue.js"))
	b.WriteString("guard(() => {\n")
	for _, name := range v.files() {
		text := placeholder.ReplaceAllFunc(source(name), func(name []byte) []byte { return []byte(constants[string(name)]) })
		if isPart(name) { // what a browser can't do of one costs no other
			text = slices.Concat([]byte("guard(() => {\n"), text, []byte("})();\n"))
		}
		b.Write(text)
	}
	b.WriteString("})();\n}\n")
	return b.Bytes()
}

// quote writes a text as a literal of JavaScript.
func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string is never refused
	return b
}

func source(name string) []byte {
	b, err := sources.ReadFile(name)
	if err != nil {
		panic("script: " + err.Error()) // embedded with this very list
	}
	return b
}

// build makes a variant as small as it gets. The readable form works as well,
// should the minifier refuse what it has accepted in the tests.
func (v variant) build(endpoint string) []byte {
	plain := v.assemble(endpoint)
	var small bytes.Buffer
	if err := js.Minify(minify.New(), &small, bytes.NewReader(plain), nil); err != nil {
		return plain
	}
	return small.Bytes()
}
