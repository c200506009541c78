package accesslog

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Format is a notation that a log can be said to be in.
type Format string

// The formats. Common, vhost_combined, nginx's default and Traefik's common
// format are all read as combined.
const (
	FormatAuto     Format = ""
	FormatCombined Format = "combined"
	FormatCaddy    Format = "caddy"
	FormatTraefik  Format = "traefik"
	FormatW3C      Format = "w3c"
)

// formatNames are the names that people have for the formats.
var formatNames = map[string]Format{
	"auto": FormatAuto, "": FormatAuto,
	"combined": FormatCombined, "common": FormatCombined, "vhost": FormatCombined, "nginx": FormatCombined, "traefik-clf": FormatCombined,
	"caddy": FormatCaddy, "traefik": FormatTraefik, "w3c": FormatW3C,
}

// FormatNames lists the names that [ParseFormat] knows, for people.
const FormatNames = "auto, combined, common, vhost, nginx, caddy, traefik, traefik-clf, w3c"

// ParseFormat finds a format by a name of it.
func ParseFormat(name string) (Format, error) {
	f, ok := formatNames[strings.ToLower(name)]
	if !ok {
		return "", fmt.Errorf("there is no log format %q: name one of %s", name, FormatNames)
	}
	return f, nil
}

// Notation is how the lines of a log are to be read. It never changes, so that
// many can read by it at once; the zero value recognises each line by itself.
type Notation struct {
	Format Format
	// Zone is that of times which are written without one; nil = UTC.
	Zone *time.Location

	columns *columns // of W3C's format; nil = not known yet
}

// Directive returns the notation of the lines behind a line: another one only
// behind a directive of W3C's format.
func (n *Notation) Directive(line []byte) *Notation {
	if len(line) == 0 || line[0] != '#' || n.Format != FormatAuto && n.Format != FormatW3C {
		return n
	}
	columns := n.columns.directive(string(bytes.TrimRight(line, "\r\n")))
	if columns == n.columns {
		return n
	}
	return &Notation{Format: n.Format, Zone: n.Zone, columns: columns}
}

// Parse reads one line without its end. It is not ok for a line that is no
// request by intention: blank, a comment, another of Caddy's messages. The
// entry's texts are parts of the line.
func (n *Notation) Parse(line string) (e Entry, ok bool, err error) {
	if len(line) > MaxLine {
		return Entry{}, false, ErrTooLong
	}
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return Entry{}, false, nil
	}
	switch n.Format {
	case FormatAuto:
		switch {
		case line[0] == '{':
			return n.parseJSON(line)
		case n.columns != nil:
			return n.parseW3C(line)
		}
		return n.parseCombined(line)
	case FormatCombined:
		return n.parseCombined(line)
	case FormatW3C:
		if n.columns == nil {
			return Entry{}, false, ErrFields
		}
		return n.parseW3C(line)
	}
	if line[0] != '{' {
		return Entry{}, false, ErrNotation
	}
	return n.parseJSON(line)
}

func (n *Notation) parseCombined(line string) (Entry, bool, error) {
	e, err := parseCombined(line)
	return e, err == nil, err
}

// parseJSON tells Traefik's objects from Caddy's by a key that only they have.
func (n *Notation) parseJSON(line string) (Entry, bool, error) {
	traefik := n.Format == FormatTraefik
	if n.Format == FormatAuto {
		traefik = strings.Contains(line, `"RequestMethod"`)
	}
	if traefik {
		return parseTraefik([]byte(line))
	}
	return parseCaddy([]byte(line), n.zone())
}

func (n *Notation) zone() *time.Location {
	if n.Zone == nil {
		return time.UTC
	}
	return n.Zone
}

// ParseLine reads one line of a notation that needs no lines above it.
func ParseLine(line []byte) (e Entry, ok bool, err error) {
	if len(line) > MaxLine {
		return Entry{}, false, ErrTooLong
	}
	return new(Notation).Parse(string(line))
}
