package accesslog

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const combinedTime = "02/Jan/2006:15:04:05 -0700"

// parseCombined reads
//
//	[vhost] client ident user [time] "request" status size ["referrer" ["user agent" …]]
//
// What follows the user agent, as in many extended formats, is ignored. ident
// and user are passed over.
func parseCombined(line string) (Entry, error) {
	var e Entry
	head, rest, ok := cutTime(line)
	if !ok {
		return e, ErrTime
	}
	if err := e.parseHead(head); err != nil {
		return e, err
	}
	stamp, rest, ok := strings.Cut(rest, "]")
	if !ok {
		return e, ErrTime
	}
	if e.Time, ok = parseTime(combinedTime, stamp); !ok {
		return e, ErrTime
	}
	request, rest, ok := quoted(rest)
	if !ok {
		return e, ErrRequest
	}
	if err := e.parseRequest(request); err != nil {
		return e, err
	}
	rest, err := e.parseNumbers(rest)
	if err != nil {
		return e, err
	}
	if strings.HasPrefix(strings.TrimLeft(rest, " "), `"`) {
		e.Referer, rest, ok = quoted(rest)
		e.Cut = !ok
		if ok && strings.HasPrefix(strings.TrimLeft(rest, " "), `"`) {
			e.UserAgent, _, ok = quoted(rest)
			e.Cut = !ok
		}
	}
	e.Referer = dash(e.Referer)
	e.UserAgent = dash(e.UserAgent)
	return e, nil
}

// parseTime refuses what no web server has seen: microseconds since 1970 must
// hold every time.
func parseTime(layout, s string) (time.Time, bool) {
	at, err := time.Parse(layout, s)
	if err != nil {
		return time.Time{}, false
	}
	at = at.UTC()
	return at, at.Year() >= 1970 && at.Year() <= 9999
}

// cutTime cuts at the bracket that opens the time. A user name can hold a
// bracket too, so it looks for one that a digit follows.
func cutTime(line string) (head, rest string, ok bool) {
	for from := 0; ; {
		at := strings.Index(line[from:], " [")
		if at < 0 {
			return "", "", false
		}
		at += from
		if at+2 < len(line) && line[at+2] >= '0' && line[at+2] <= '9' {
			return line[:at], line[at+2:], true
		}
		from = at + 2
	}
}

// parseHead reads what stands before the time. In vhost_combined the host that
// was asked for comes first: it is told by a second field that is an address.
func (e *Entry) parseHead(head string) error {
	first, rest, _ := strings.Cut(head, " ")
	if _, err := netip.ParseAddr(first); err != nil {
		second, _, _ := strings.Cut(rest, " ")
		if _, err := netip.ParseAddr(second); err == nil {
			e.Host, first = first, second
		}
	}
	if dash(first) == "" {
		return ErrNoClient
	}
	e.RemoteAddr = first
	return nil
}

// parseRequest reads `GET /path HTTP/1.1`. A target with blanks in it, as
// careless clients send it, is kept whole.
func (e *Entry) parseRequest(request string) error {
	method, target, ok := strings.Cut(request, " ")
	if !ok {
		return ErrRequest
	}
	if err := checkMethod(method); err != nil {
		return err
	}
	target = strings.TrimSpace(target)
	if at := strings.LastIndex(target, " "); at >= 0 && strings.HasPrefix(target[at+1:], "HTTP/") {
		target, e.Proto = target[:at], target[at+1:]
	}
	if target = strings.TrimSpace(target); target == "" {
		return ErrRequest
	}
	e.Method, e.URI = method, target
	return nil
}

// parseNumbers reads status and size and returns what follows.
func (e *Entry) parseNumbers(rest string) (string, error) {
	status, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	n, err := strconv.ParseUint(status, 10, 16)
	if err != nil || n < 100 || n > 999 {
		return "", ErrStatus
	}
	e.Status = int(n)
	size, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if size = dash(size); size == "" {
		return rest, nil // "-" is how the format writes none; a line may end here
	}
	if e.Size, err = parseSize(size); err != nil {
		return "", err
	}
	return rest, nil
}

func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, ErrSize
	}
	return n, nil
}

// dash is the format's way to write nothing.
func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// quoted reads one quoted field, unescaped, and what follows it. It is not ok
// where the closing quote is missing: the value is then what is there.
func quoted(s string) (value, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	if !strings.HasPrefix(s, `"`) {
		return "", s, false
	}
	s = s[1:]
	escaped := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			escaped = true
			i++ // what follows cannot end the field
		case '"':
			if escaped {
				return unescape(s[:i]), s[i+1:], true
			}
			return s[:i], s[i+1:], true
		}
	}
	if escaped {
		s = unescape(s)
	}
	return s, "", false
}

// unescape undoes what Apache and nginx do to a quoted field. An escape that
// neither writes, or that is cut, stays as it is.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case '"', '\\':
			b.WriteByte(c)
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'v':
			b.WriteByte('\v')
		case 'x':
			if i+2 < len(s) {
				if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
					b.WriteByte(byte(v))
					i += 2
					continue
				}
			}
			b.WriteString(`\x`)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}
