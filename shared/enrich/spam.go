package enrich

import "strings"

// spamDomains send made-up referrers, to be looked up by whoever reads the
// statistics. Each stands for its subdomains too. The list names those that
// public lists have agreed on for years; what it misses shows as a referral,
// which harms less than a referrer that is taken away from a site by mistake.
const spamDomains = `
100dollars-seo.com 4webmasters.org adcash.network amanda-porn.ga anticrawler.org aumilkweed.com best-seo-offer.com
best-seo-solution.com best-seo-report.com bestwebsitesawards.com blackhatworth.com bot-traffic.icu bot-traffic.xyz bottraffic.live
bottraffic.site bottraffic4free.club bottraffic4free.host buttons-for-website.com buttons-for-your-website.com buy-cheap-online.info
cenoval.ru chinese-amezon.com cityadspix.com compliance-checker.info copyrightclaims.org cutalltheshit.com dailyrank.net
darodar.com depositfiles-porn.ga descargar-musica-gratis.net domination.ml e-buyeasy.com econom.co edakgfvwql.ru
erot.co event-tracking.com fbdownloader.com fix-website-errors.com floating-share-buttons.com forum69.info
free-fb-traffic.com free-fbook-traffic.com free-share-buttons.com free-social-buttons.com free-traffic.xyz free-website-traffic.com
get-free-social-traffic.com get-free-traffic-now.com get-your-social-buttons.info ghazel.ru gobongo.info googlsucks.com guardlink.org
hulfingtonpost.com humanorightswatch.org hundejo.com hvd-store.com ilovevitaly.co ilovevitaly.com ilovevitaly.ru
iskalko.ru justprofit.xyz kabbalah-red-bracelets.com kambasoft.com keywords-monitoring-success.com keywords-monitoring-your-success.com
lomb.co lombia.co lumb.co luxup.ru make-money-online.7makemoneyonline.com maximpartnerspb.com
monetizationking.net musclebuildfaster.com myftpupload.com net-profits.xyz o-o-11-o-o.com o-o-6-o-o.com o-o-8-o-o.com
offers.bycontext.com online-hit.info pornhub-forum.ga pornhub-forum.uni.me priceg.com prodvigator.ua qualitymarketzone.com
rank-checker.online ranksonic.com ranksonic.info ranksonic.net ranksonic.org rapidgator-porn.ga savetubevideo.com screentoolkit.com
search-error.com semalt.com semalt.semalt.com semaltmedia.com seo-2-0.com seo-platform.com seoanalyses.com
seoexperimenty.ru share-buttons.xyz sharebutton.net sharebutton.to simple-share-buttons.com site-auditor.online slftsdybbg.ru
slow-website.xyz smailik.org snip.to social-buttons.com social-traffic.xyz social-widget.xyz socialseet.ru sexyali.com
success-seo.com superiends.org theguardlan.com top1-seo-service.com torture.ml trafers.com traffic-cash.xyz traffic2cash.org
traffic2cash.xyz traffic2money.com trafficbot.life trafficbot4free.xyz trafficgenius.xyz trafficmonetize.org trafficmonetizer.org
uptime-bot.net video--production.com videos-for-your-business.com vodkoved.ru webmonetizer.net website-analyzer.info
website-speed-check.site websocial.me wordpress-crew.net ykecwqlixx.ru youporn-forum.ga your-good-links.com yourserverisdown.com
`

var spam = func() map[string]bool {
	all := make(map[string]bool)
	for domain := range strings.FieldsSeq(spamDomains) {
		all[domain] = true
	}
	return all
}()

// spamReferrer reports whether a referrer's host is one of them.
func spamReferrer(host string) bool {
	for strings.Contains(host, ".") {
		if spam[host] {
			return true
		}
		_, host, _ = strings.Cut(host, ".")
	}
	return false
}
