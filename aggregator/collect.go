package aggregator

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eider-analytics/eider/aggregator/api"
	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
	"github.com/eider-analytics/eider/shared/enrich"
)

// openIntake opens the aggregator's own way in: what browsers, clients and
// servers send here becomes events of an edge of its own, whose log is the
// spool.
//
//	POST ─▶ beacon.Intake ─▶ enrich ─▶ receive.Local ─▶ spool (fsync, then 202)
func (a *Aggregator) openIntake() error {
	proxies, err := beacon.ParseProxies(a.cfg.TrustedProxies)
	if err != nil {
		return err
	}
	a.proxies = proxies
	a.enricher, err = enrich.New(enrich.Config{
		GeoIP: a.cfg.GeoIP, Sites: a.registry, Salts: a.registry, Local: enrich.NewLocalSalts(nil), Logger: a.log.Named("enrich"),
	})
	if err != nil {
		return err
	}
	a.intake = beacon.New(beacon.Config{
		View: a.registry.Load, Enrich: a.enricher.Enrich, CleanProps: a.enricher.CleanProps, Log: a.receiver.Local(a.version),
		ClientIP: proxies.ClientIP, Trusted: proxies.Trusted, Keys: a.ingestKey,
		UnknownSite: func(name string) {
			a.keeper.Report([]shared.UnknownHost{{Host: name, Requests: 1, LastSeen: time.Now().UnixMicro()}})
		},
		Limits: beacon.Limits{PerAddress: float64(a.cfg.RatePerAddress), PerSite: float64(a.cfg.RatePerSite)},
		Logger: a.log.Named("collect"),
	})
	if err := a.metrics.Register(intakeMetrics{a.intake.Counts()}); err != nil {
		return fmt.Errorf("register collection's metrics: %w", err)
	}
	return nil
}

// ingestKey says for which sites a server may send with a key.
func (a *Aggregator) ingestKey(token string) (beacon.Grant, bool) {
	who, ok := a.store.keys.Identify(token)
	return who.For, ok && who.May(auth.ScopeIngest)
}

// collection mounts the way in at the root. It answers pages of other origins,
// so that it stands outside of the API's guard.
func (a *Aggregator) collection() api.Collection {
	h := a.intake.At(beacon.Mount{})
	return api.Collection{Handler: h, Paths: h.Paths()}
}

// intakeMetrics shows what became of messages.
type intakeMetrics struct{ counts *beacon.Counts }

var collected = beacon.NewMetrics("eider_collection_")

// Describe implements prometheus.Collector.
func (intakeMetrics) Describe(ch chan<- *prometheus.Desc) { collected.Describe(ch) }

// Collect implements prometheus.Collector.
func (m intakeMetrics) Collect(ch chan<- prometheus.Metric) { collected.Collect(ch, m.counts) }
