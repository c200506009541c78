package shared

// field numbers are the wire's and never change meaning; a retired number is
// not used again.
//
// textFields lists every text field that is encoded, with its number and limit.
var textFields = []struct {
	num   uint8
	limit int
	at    func(*Event) *string
}{
	{1, MaxSite, func(e *Event) *string { return &e.Site }},
	{3, MaxShort, func(e *Event) *string { return (*string)(&e.Origin) }},
	{4, MaxShort, func(e *Event) *string { return &e.DedupeKey }},
	{5, MaxShort, func(e *Event) *string { return (*string)(&e.Kind) }},
	{6, MaxName, func(e *Event) *string { return &e.Name }},
	{7, MaxHostname, func(e *Event) *string { return &e.Hostname }},
	{8, MaxPath, func(e *Event) *string { return &e.Pathname }},
	{9, MaxQuery, func(e *Event) *string { return &e.Query }},
	{10, MaxTitle, func(e *Event) *string { return &e.Title }},
	{11, MaxTag, func(e *Event) *string { return &e.Tag }},
	{14, MaxShort, func(e *Event) *string { return &e.Identity }},
	{15, MaxDistinct, func(e *Event) *string { return &e.DistinctID }},
	{16, 2, func(e *Event) *string { return &e.CountryCode }},
	{17, MaxShort, func(e *Event) *string { return &e.Region }},
	{18, MaxShort, func(e *Event) *string { return &e.City }},
	{19, MaxShort, func(e *Event) *string { return &e.Language }},
	{20, MaxShort, func(e *Event) *string { return &e.Browser }},
	{21, MaxShort, func(e *Event) *string { return &e.BrowserVersion }},
	{22, MaxShort, func(e *Event) *string { return &e.OS }},
	{23, MaxShort, func(e *Event) *string { return &e.OSVersion }},
	{24, MaxShort, func(e *Event) *string { return &e.DeviceType }},
	{25, MaxShort, func(e *Event) *string { return &e.ScreenSize }},
	{26, MaxHostname, func(e *Event) *string { return &e.ReferrerDomain }},
	{27, MaxPath, func(e *Event) *string { return &e.ReferrerPath }},
	{28, MaxUTM, func(e *Event) *string { return &e.Source }},
	{29, MaxShort, func(e *Event) *string { return &e.Channel }},
	{30, MaxUTM, func(e *Event) *string { return &e.UTMSource }},
	{31, MaxUTM, func(e *Event) *string { return &e.UTMMedium }},
	{32, MaxUTM, func(e *Event) *string { return &e.UTMCampaign }},
	{33, MaxUTM, func(e *Event) *string { return &e.UTMContent }},
	{34, MaxUTM, func(e *Event) *string { return &e.UTMTerm }},
	{35, MaxUTM, func(e *Event) *string { return &e.GCLID }},
	{36, MaxUTM, func(e *Event) *string { return &e.FBCLID }},
	{37, MaxUTM, func(e *Event) *string { return &e.MSCLKID }},
	{38, MaxUTM, func(e *Event) *string { return &e.TTCLID }},
	{39, MaxUTM, func(e *Event) *string { return &e.LIFatID }},
	{40, MaxUTM, func(e *Event) *string { return &e.TWCLID }},
	{43, 3, func(e *Event) *string { return &e.RevenueCurrency }},
	{45, MaxShort, func(e *Event) *string { return &e.Method }},
	{46, MaxShort, func(e *Event) *string { return &e.ContentType }},
	{49, MaxShort, func(e *Event) *string { return &e.Protocol }},
	{50, MaxShort, func(e *Event) *string { return &e.CacheStatus }},
	{51, MaxShort, func(e *Event) *string { return (*string)(&e.Verdict) }},
	{52, MaxShort, func(e *Event) *string { return &e.VerdictReason }},
	{53, MaxShort, func(e *Event) *string { return &e.BotName }},
	{54, MaxShort, func(e *Event) *string { return &e.BotCategory }},
	{55, MaxShort, func(e *Event) *string { return &e.BotOperator }},
	{56, MaxShort, func(e *Event) *string { return &e.AIPurpose }},
	{58, MaxShort, func(e *Event) *string { return &e.AgentToken }},
}

// timeField is the one number that every event has, relative to the batch's
// base time.
const timeField = 2

// propField repeats, once for each property.
const propField = 41

var idFields = []struct {
	num uint8
	at  func(*Event) *uint64
}{
	{12, func(e *Event) *uint64 { return &e.VisitorID }},
	{13, func(e *Event) *uint64 { return &e.PrevVisitorID }},
	{59, func(e *Event) *uint64 { return &e.ViewID }},
	{60, func(e *Event) *uint64 { return &e.ParentViewID }},
	{61, func(e *Event) *uint64 { return &e.LoadID }},
}

var intFields = []struct {
	num uint8
	at  func(*Event) *Opt[int64]
}{
	{42, func(e *Event) *Opt[int64] { return &e.RevenueAmount }},
	{44, func(e *Event) *Opt[int64] { return &e.Status }},
	{47, func(e *Event) *Opt[int64] { return &e.BytesSent }},
	{48, func(e *Event) *Opt[int64] { return &e.TTFBUS }},
	{63, func(e *Event) *Opt[int64] { return &e.EngagedMS }},
	{64, func(e *Event) *Opt[int64] { return &e.ScrollDepth }},
}

var boolFields = []struct {
	num uint8
	at  func(*Event) *Opt[bool]
}{
	{57, func(e *Event) *Opt[bool] { return &e.Verified }},
	{62, func(e *Event) *Opt[bool] { return &e.Cached }},
}

var floatFields = []struct {
	num uint8
	at  func(*Event) *Opt[float64]
}{
	{65, func(e *Event) *Opt[float64] { return &e.LCPMS }},
	{66, func(e *Event) *Opt[float64] { return &e.INPMS }},
	{67, func(e *Event) *Opt[float64] { return &e.CLS }},
	{68, func(e *Event) *Opt[float64] { return &e.FCPMS }},
	{69, func(e *Event) *Opt[float64] { return &e.NavTTFBMS }},
}

// fieldKind tells the decoder which table a number is in, and where.
type fieldKind struct {
	table uint8 // one of the constants below; 0 = unknown
	index uint8
}

const (
	tableText uint8 = iota + 1
	tableID
	tableInt
	tableBool
	tableFloat
	tableTime
	tableProp
)

// maxField is the highest number that this reader knows.
const maxField = 69

var fieldOf = func() (of [maxField + 1]fieldKind) {
	for i, f := range textFields {
		of[f.num] = fieldKind{tableText, uint8(i)}
	}
	for i, f := range idFields {
		of[f.num] = fieldKind{tableID, uint8(i)}
	}
	for i, f := range intFields {
		of[f.num] = fieldKind{tableInt, uint8(i)}
	}
	for i, f := range boolFields {
		of[f.num] = fieldKind{tableBool, uint8(i)}
	}
	for i, f := range floatFields {
		of[f.num] = fieldKind{tableFloat, uint8(i)}
	}
	of[timeField] = fieldKind{tableTime, 0}
	of[propField] = fieldKind{tableProp, 0}
	return of
}()
