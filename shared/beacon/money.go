package beacon

import (
	"math"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// currencies are the codes of ISO 4217 that are in use.
const currencies = " AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF " +
	"CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL " +
	"HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT " +
	"MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG " +
	"SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV " +
	"WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG "

// revenue returns an amount and its currency, if both are what they should be.
func revenue(amount, code string) (shared.Opt[int64], string) {
	code = strings.ToUpper(strings.TrimSpace(code))
	if len(code) != 3 || !strings.Contains(currencies, " "+code+" ") {
		return shared.Opt[int64]{}, ""
	}
	n, ok := parseAmount(strings.TrimSpace(amount))
	if !ok {
		return shared.Opt[int64]{}, ""
	}
	return shared.Some(n), code
}

// maxAmount is below what the column can hold, in 1/10,000.
const maxAmount = 1e17 - 1

// parseAmount reads a decimal number into 1/10,000: exactly, as it is money;
// what is beyond the fourth place is rounded half away from zero.
func parseAmount(s string) (int64, bool) {
	if s == "" || len(s) > 40 {
		return 0, false
	}
	if strings.ContainsAny(s, "eE") { // 1e3, as JSON may write it
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f-f != 0 || math.Abs(f) > maxAmount/1e4 {
			return 0, false
		}
		return int64(math.Round(f * 1e4)), true
	}
	digits, negative := strings.CutPrefix(s, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole == "" && fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return 0, false
	}
	up := len(fraction) > 4 && fraction[4] >= '5'
	fraction = (fraction + "0000")[:4]
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || n >= maxAmount {
		return 0, false
	}
	if up {
		n++
	}
	if negative {
		n = -n
	}
	return n, true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
