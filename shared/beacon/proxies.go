package beacon

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of peers that are trusted to say for whom they
// speak. It is for servers that have no judgement of their own, as Caddy has.
type Proxies []netip.Prefix

// ParseProxies reads networks and single addresses. Without any, it is
// loopback: a proxy on this machine.
func ParseProxies(list []string) (Proxies, error) {
	if len(list) == 0 {
		list = []string{"127.0.0.0/8", "::1"}
	}
	var p Proxies
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("trusted_proxies: %q is neither an address nor a network such as 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

func (p Proxies) contains(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// peer is the other end of the connection. A unix socket's has no address, and
// may be trusted, as only whom its mode lets in gets to it.
func peer(r *http.Request) (addr netip.Addr, local bool) {
	if r.RemoteAddr == "" || r.RemoteAddr[0] == '@' || r.RemoteAddr[0] == '/' {
		return netip.Addr{}, true
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	return ap.Addr().WithZone("").Unmap(), false
}

// Trusted reports whether the peer of a request is one of the proxies.
func (p Proxies) Trusted(r *http.Request) bool {
	addr, local := peer(r)
	return local || p.contains(addr)
}

// maxHops bounds how much of a header is looked at.
const maxHops = 32

// ClientIP is the address of whoever a trusted peer speaks for: the right-most
// entry of X-Forwarded-For that is not itself a trusted proxy, as those to its
// left were written by nobody who is trusted. Without such an entry, it is the
// peer's. It is invalid where that is a unix socket.
func (p Proxies) ClientIP(r *http.Request) netip.Addr {
	addr, local := peer(r)
	if !local && !p.contains(addr) {
		return addr
	}
	values := r.Header["X-Forwarded-For"]
	hops := 0
	for i := len(values) - 1; i >= 0; i-- {
		for rest := values[i]; rest != "" && hops < maxHops; hops++ {
			entry := rest
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				entry, rest = rest[at+1:], rest[:at]
			} else {
				rest = ""
			}
			hop, ok := hopAddress(strings.TrimSpace(entry))
			if !ok {
				return addr // what stands to the left of nonsense is worth nothing
			}
			if addr = hop; !p.contains(hop) {
				return hop
			}
		}
	}
	return addr
}

// hopAddress reads an entry, which some proxies write with a port.
func hopAddress(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		ap, portErr := netip.ParseAddrPort(s)
		if portErr != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	return addr.WithZone("").Unmap(), true
}
