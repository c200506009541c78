package accesslog

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// columns are those of W3C's extended format, as the directives above the lines
// name them (https://www.w3.org/TR/WD-logfile). Nil knows none.
type columns struct {
	names []string // lower case
	date  string   // of #Date, for logs whose lines have only a time
}

// directive returns the columns behind a directive.
func (c *columns) directive(line string) *columns {
	name, value, ok := strings.Cut(line[1:], ":")
	if !ok {
		return c
	}
	next := &columns{}
	if c != nil {
		*next = *c
	}
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "fields":
		next.names = strings.Fields(strings.ToLower(value))
		if len(next.names) == 0 {
			return c
		}
	case "date":
		if c == nil {
			return c // other logs have comments too
		}
		next.date, _, _ = strings.Cut(strings.TrimSpace(value), " ")
	default:
		return c
	}
	return next
}

// w3cLine is one line under its columns' names.
type w3cLine struct {
	Entry
	date, time, stem, query string
	host                    string // of x-host-header
	tabs                    bool
	failed                  error
}

// parseW3C reads a line. IIS separates by blanks and writes a plus for a blank
// in a value; CloudFront separates by tabs and escapes values as in URLs.
func (n *Notation) parseW3C(line string) (Entry, bool, error) {
	l := w3cLine{date: n.columns.date, tabs: strings.Contains(line, "\t")}
	rest := line
	for _, name := range n.columns.names {
		var value string
		if l.tabs {
			value, rest, _ = strings.Cut(rest, "\t")
		} else {
			value, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		}
		if value = dash(value); value != "" {
			l.set(name, value)
		}
	}
	if l.failed != nil {
		return Entry{}, false, l.failed
	}
	e, err := l.finish(n.zone())
	return e, err == nil, err
}

// set takes one value.
func (l *w3cLine) set(name, value string) {
	var err error
	switch name {
	case "date":
		l.date = value
	case "time":
		l.time = value
	case "c-ip", "c-dns":
		if l.RemoteAddr == "" {
			l.RemoteAddr = value
		}
	case "cs-method":
		l.Method = value
	case "cs-uri-stem":
		l.stem = value
	case "cs-uri-query":
		l.query = value
	case "cs-uri":
		l.URI = value
	case "cs-version", "cs-protocol-version":
		l.Proto = value
	case "x-host-header":
		l.host = value
	case "cs-host", "cs(host)":
		l.Host = value
	case "cs(user-agent)":
		l.UserAgent = l.text(value)
	case "cs(referer)", "cs(referrer)":
		l.Referer = value
	case "sc-content-type":
		l.ContentType = l.text(value)
	case "sc-status":
		l.Status, err = strconv.Atoi(value)
		if err != nil || l.Status < 100 || l.Status > 999 {
			l.failed = ErrStatus
		}
	case "sc-bytes":
		if l.Size, err = parseSize(value); err != nil {
			l.failed = err
		}
	case "time-taken":
		l.Duration = w3cDuration(value)
	}
}

// text undoes what the writer did to a value that may hold blanks. A plus that
// was one before can't be told from a blank in IIS's notation.
func (l *w3cLine) text(value string) string {
	if !l.tabs {
		return strings.ReplaceAll(value, "+", " ")
	}
	if decoded, err := url.PathUnescape(value); err == nil {
		value = decoded
	}
	if decoded, err := url.PathUnescape(value); err == nil {
		value = decoded // older CloudFront logs escape twice
	}
	return value
}

func (l *w3cLine) finish(zone *time.Location) (Entry, error) {
	e := l.Entry
	if l.host != "" {
		e.Host = l.host // what the reader asked for; cs(Host) is the distribution's
	}
	if err := checkMethod(e.Method); err != nil {
		return Entry{}, err
	}
	if e.URI == "" {
		e.URI = l.stem
		if l.query != "" && l.stem != "" {
			e.URI += "?" + l.query
		}
	}
	if e.URI == "" {
		return Entry{}, ErrRequest
	}
	if e.RemoteAddr == "" {
		return Entry{}, ErrNoClient
	}
	if addr, err := netip.ParseAddrPort(e.RemoteAddr); err == nil {
		e.RemoteAddr = addr.Addr().String()
	}
	if e.Status == 0 {
		return Entry{}, ErrStatus
	}
	e.AtEnd = true
	at, err := time.ParseInLocation("2006-01-02 15:04:05", l.date+" "+l.time, zone)
	if err != nil {
		return Entry{}, ErrTime
	}
	if e.Time = at.UTC(); e.Time.Year() < 1970 || e.Time.Year() > 9999 {
		return Entry{}, ErrTime
	}
	return e, nil
}

// w3cDuration reads seconds where there is a point, as CloudFront writes them,
// and milliseconds, as IIS does, where there is none.
func w3cDuration(value string) time.Duration {
	unit := time.Millisecond
	if strings.Contains(value, ".") {
		unit = time.Second
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n > 0) || n > 1e9 {
		return 0
	}
	return time.Duration(n * float64(unit))
}
