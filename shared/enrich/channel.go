package enrich

import (
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// The channels, as Google Analytics 4 names them, with AI assistants beside.
const (
	ChannelCrossNetwork    = "Cross-network"
	ChannelPaidShopping    = "Paid Shopping"
	ChannelPaidSearch      = "Paid Search"
	ChannelPaidSocial      = "Paid Social"
	ChannelPaidVideo       = "Paid Video"
	ChannelDisplay         = "Display"
	ChannelPaidOther       = "Paid Other"
	ChannelOrganicShopping = "Organic Shopping"
	ChannelOrganicSocial   = "Organic Social"
	ChannelOrganicVideo    = "Organic Video"
	ChannelAI              = "AI Assistants"
	ChannelOrganicSearch   = "Organic Search"
	ChannelEmail           = "Email"
	ChannelAffiliates      = "Affiliates"
	ChannelAudio           = "Audio"
	ChannelSMS             = "SMS"
	ChannelPush            = "Mobile Push Notifications"
	ChannelReferral        = "Referral"
	ChannelDirect          = "Direct"
)

// channel applies GA4's default channel group
// (https://support.google.com/analytics/answer/9756891) in its order. tag is
// the campaign's own word for the source, class what we know of the source,
// paidBy the network whose click id was found.
//
// Two differences: a click id of Google or Microsoft without a medium stands
// for "cpc", as their own auto-tagging does; and a tagged source of unknown
// medium is a referral, where GA4 says "unassigned".
func channel(dst *shared.Event, tag string, class sourceClass, paidBy string) string {
	medium := strings.ToLower(dst.UTMMedium)
	if medium == "" && paidBy != "" {
		medium = "cpc"
	}
	campaign := strings.ToLower(dst.UTMCampaign)
	tag = strings.ToLower(tag)
	paid := paidMedium(medium)
	shopping := class == classShopping || shoppingCampaign(campaign)
	switch {
	case strings.Contains(campaign, "cross-network"):
		return ChannelCrossNetwork
	case shopping && paid:
		return ChannelPaidShopping
	case class == classSearch && paid:
		return ChannelPaidSearch
	case class == classSocial && paid:
		return ChannelPaidSocial
	case class == classVideo && paid:
		return ChannelPaidVideo
	case contains(displayMediums, medium):
		return ChannelDisplay
	case paid:
		return ChannelPaidOther
	case shopping:
		return ChannelOrganicShopping
	case class == classSocial, contains(socialMediums, medium):
		return ChannelOrganicSocial
	case class == classVideo, strings.Contains(medium, "video"):
		return ChannelOrganicVideo
	case class == classAI, medium == "ai-assistant":
		return ChannelAI
	case class == classSearch, medium == "organic":
		return ChannelOrganicSearch
	case class == classEmail, contains(emailWords, tag), contains(emailWords, medium):
		return ChannelEmail
	case medium == "affiliate":
		return ChannelAffiliates
	case medium == "audio":
		return ChannelAudio
	case tag == "sms", medium == "sms":
		return ChannelSMS
	case strings.HasSuffix(medium, "push"), strings.Contains(medium, "mobile"), strings.Contains(medium, "notification"), tag == "firebase":
		return ChannelPush
	case dst.Source != "", contains(referralMediums, medium):
		return ChannelReferral
	}
	return ChannelDirect
}

var (
	displayMediums  = []string{"display", "banner", "expandable", "interstitial", "cpm"}
	referralMediums = []string{"referral", "app", "link"}
	socialMediums   = []string{"social", "social-network", "social-media", "sm", "social network", "social media"}
	emailWords      = []string{"email", "e-mail", "e_mail", "e mail"}
)

// paidMedium is GA4's ^(.*cp.*|ppc|retargeting|paid.*)$.
func paidMedium(medium string) bool {
	return strings.Contains(medium, "cp") || medium == "ppc" || medium == "retargeting" || strings.HasPrefix(medium, "paid")
}

// shoppingCampaign is GA4's ^(.*(([^a-df-z]|^)shop|shopping).*)$: "shop" not
// behind a letter other than e, so that "workshop" and "bishop" are none.
func shoppingCampaign(campaign string) bool {
	if strings.Contains(campaign, "shopping") {
		return true
	}
	for at := 0; ; {
		i := strings.Index(campaign[at:], "shop")
		if i < 0 {
			return false
		}
		at += i
		if at == 0 || !letter(campaign[at-1]) || campaign[at-1] == 'e' {
			return true
		}
		at += len("shop")
	}
}
