package sites

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/eider-analytics/eider/shared"
)

// toASCII writes international names as DNS does. It does not judge letters
// such as the underscore, nor the dashes of r3---a.example, which hosts do have.
var toASCII = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.Transitional(false))

const maxLabel = 63

// Domain is the one way in which a host is written here: lower case, in ASCII,
// without port, trailing dot and leading "www.". An address stands in its
// shortest form, IPv6 without brackets.
//
// www.example.com and example.com are one site because nobody means them as
// two.
func Domain(name string) (string, error) {
	// The port and dot are not part of the 253 bytes; what is far longer is
	// not worth looking at.
	if len(name) > 2*shared.MaxSite {
		return "", fmt.Errorf("a site's name has at most %d bytes, this one has %d", shared.MaxSite, len(name))
	}
	host := strings.TrimSpace(name)
	if host == "" {
		return "", errors.New("a site needs a name, such as example.com")
	}
	if addr, ok := address(host); ok {
		return addr, nil
	}
	host = cutPort(host)
	if strings.Contains(host, "*") {
		return "", fmt.Errorf("%s is a pattern, not a host: name the site that its hosts are counted for", strconv.Quote(name))
	}
	ascii, err := toASCII.ToASCII(strings.TrimSuffix(host, "."))
	if err != nil || !utf8.ValidString(host) || !validHost(ascii) {
		return "", fmt.Errorf("%s is not a host name: it may have letters, digits, dashes and dots only, such as example.com", strconv.Quote(cut(name)))
	}
	if len(ascii) > shared.MaxSite {
		return "", fmt.Errorf("a site's name has at most %d bytes, this one has %d", shared.MaxSite, len(ascii))
	}
	if bare, ok := strings.CutPrefix(ascii, "www."); ok && strings.Contains(bare, ".") {
		return bare, nil
	}
	return ascii, nil
}

// address recognises an IP address, with or without brackets and port.
func address(host string) (string, bool) {
	if ap, err := netip.ParseAddrPort(host); err == nil && ap.Addr().Zone() == "" {
		return ap.Addr().Unmap().String(), true
	}
	bare := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		bare = host[1 : len(host)-1]
	}
	if a, err := netip.ParseAddr(bare); err == nil && a.Zone() == "" {
		return a.Unmap().String(), true
	}
	return "", false
}

func cutPort(host string) string {
	at := strings.LastIndexByte(host, ':')
	if at < 0 {
		return host
	}
	if _, err := strconv.ParseUint(host[at+1:], 10, 16); err != nil {
		return host
	}
	return host[:at]
}

func validHost(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// cut keeps an error text readable.
func cut(name string) string { return name[:min(len(name), 80)] }
