package enrich

import "github.com/eider-analytics/eider/shared"

// ProxyPlace is where a client is by the headers of a network before our own
// proxy. They count only where the peer that sends them is trusted: anybody can
// write them.
//
// The names are the networks' own, in net/http's spelling:
// Cloudflare (https://developers.cloudflare.com/rules/transform/managed-transforms/reference/),
// Vercel (https://vercel.com/docs/headers/request-headers), CloudFront
// (https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html),
// EdgeOne (https://edgeone.ai/document/50826), which names a country only, in a
// header whose name is its owner's choice: this is the one that it proposes.
type ProxyPlace struct {
	network               placeNetwork
	country, region, city string
}

// placeNetwork orders the networks: where headers of several are there, those
// of the higher one count, whole.
type placeNetwork uint8

const (
	placeEdgeOne placeNetwork = iota + 1
	placeCloudFront
	placeVercel
	placeCloudflare
)

// Note takes in one header by its canonical name, and reports whether it names
// a place.
func (p *ProxyPlace) Note(name, value string) bool {
	switch name {
	case "Cf-Ipcountry":
		p.note(placeCloudflare, &p.country, value)
	case "Cf-Region-Code":
		p.note(placeCloudflare, &p.region, value)
	case "Cf-Ipcity":
		p.note(placeCloudflare, &p.city, value)
	case "X-Vercel-Ip-Country":
		p.note(placeVercel, &p.country, value)
	case "X-Vercel-Ip-Country-Region":
		p.note(placeVercel, &p.region, value)
	case "X-Vercel-Ip-City":
		p.note(placeVercel, &p.city, value)
	case "Cloudfront-Viewer-Country":
		p.note(placeCloudFront, &p.country, value)
	case "Cloudfront-Viewer-Country-Region":
		p.note(placeCloudFront, &p.region, value)
	case "Cloudfront-Viewer-City":
		p.note(placeCloudFront, &p.city, value)
	case "Eo-Client-Ipcountry":
		p.note(placeEdgeOne, &p.country, value)
	default:
		return false
	}
	return true
}

func (p *ProxyPlace) note(network placeNetwork, field *string, value string) {
	if network < p.network {
		return
	}
	if network > p.network {
		*p = ProxyPlace{network: network}
	}
	*field = value
}

// Tell writes the place into an observation.
func (p *ProxyPlace) Tell(o *shared.Observation) {
	o.Country, o.Region, o.City = p.country, p.region, p.city
}
