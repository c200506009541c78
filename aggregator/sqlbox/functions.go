package sqlbox

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed functions.txt
var functionsText string

// functions is what functions.txt says.
var functions = readFunctions(functionsText)

type functionLists struct {
	table   []string        // what may stand in FROM, in the order of the list
	allowed map[string]bool // everywhere else
	refused map[string]string
}

func readFunctions(text string) functionLists {
	l := functionLists{allowed: map[string]bool{}, refused: map[string]string{}}
	section, why := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "["); ok {
			section, why, _ = strings.Cut(rest, "]")
			why = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(why), "#"))
			continue
		}
		if section == "" {
			continue
		}
		for _, name := range strings.Fields(strings.ToLower(line)) { // names have no case
			switch section {
			case "table":
				l.table = append(l.table, name)
				l.allowed[name] = true
			case "allowed":
				l.allowed[name] = true
			case "refused":
				l.refused[name] = why
			}
		}
	}
	return l
}

// may reports whether a function may be called in an expression.
func (l *functionLists) may(name string) bool { return l.allowed[name] }

// mayBeTable reports whether a function may stand in FROM.
func (l *functionLists) mayBeTable(name string) bool { return slices.Contains(l.table, name) }

// why says why a function is refused; "" = there is none of this name.
func (l *functionLists) why(name string) string {
	if reason, ok := l.refused[name]; ok {
		return reason
	}
	for pattern, reason := range l.refused {
		if begin, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(name, begin) {
			return reason
		}
	}
	return ""
}
