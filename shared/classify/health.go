package classify

import "strings"

// healthPaths are the paths that orchestrators and load balancers ask for by
// convention and that no reader does. /health and /status are left out: sites
// have pages there; their probes are known by the user agent, or excluded.
var healthPaths = [...]string{
	"/healthz", "/livez", "/readyz", "/startupz", "/-/healthy", "/-/ready", "/health/live", "/health/ready", "/_health",
	"/_healthz", "/__health", "/_ah/health",
}

// healthAgents begin the user agents of health checks.
var healthAgents = [...]string{
	"kube-probe/", "ELB-HealthChecker/", "GoogleHC/", "Amazon-Route53-Health-Check-Service", "Envoy/HC",
	"Consul Health Check", "HAProxy", "Cloudflare-Traffic-Manager/", "Edge Health Probe", "Azure Traffic Manager Endpoint Monitor",
	"NetScaler", "F5-Health-Check", "UptimeCheck-Load-Balancer", "Load Balancer Agent", "DigitalOcean Load Balancer",
	"docker-healthcheck",
}

func healthCheck(path, userAgent string) bool {
	// Both lists begin in few ways: most requests are told by one byte.
	if len(path) > 1 {
		switch path[1] {
		case 'h', 'l', 'r', 's', '-', '_':
			for _, p := range healthPaths {
				if path == p {
					return true
				}
			}
		}
	}
	if userAgent == "" || userAgent[0] == 'M' {
		return false
	}
	for _, a := range healthAgents {
		if strings.HasPrefix(userAgent, a) {
			return true
		}
	}
	return false
}
