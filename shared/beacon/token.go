package beacon

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// claims are what Umami's token carries between two messages of one page: a
// JWT, signed with HS256. It saves the sender nothing that it could not forge
// for itself, and is never believed about another site.
type claims struct {
	Website string `json:"websiteId"`
	Session string `json:"sessionId"`
	Visit   string `json:"visitId"`
	Issued  int64  `json:"iat"` // s
	Expires int64  `json:"exp"`
}

// tokenLife is how long a token is believed at most; the end of the salt's
// period ends it too.
const tokenLife = 24 * time.Hour

// maxToken bounds what is looked at: old trackers send all of the last answer
// back, others send garbage.
const maxToken = 2048

// tokenHead is the one header that is written and accepted, {"alg":"HS256","typ":"JWT"}:
// an algorithm that the sender may choose is none.
var tokenHead = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// sign makes a token.
func (c *claims) sign(key []byte) string {
	body, _ := json.Marshal(c) // of texts and numbers: never fails
	text := tokenHead + "." + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature(key, text))
}

func signature(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// readToken returns the claims of a token that is signed with key, was issued
// neither in the future nor before `since` (s since 1970), and has not expired.
func readToken(token string, key []byte, now time.Time, since int64) (claims, bool) {
	var c claims
	if len(token) > maxToken || len(key) == 0 {
		return c, false
	}
	head, rest, ok := strings.Cut(token, ".")
	body, sum, whole := strings.Cut(rest, ".")
	if !ok || !whole || head != tokenHead {
		return c, false
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(sum)
	if err != nil || subtle.ConstantTimeCompare(given, signature(key, head+"."+body)) != 1 {
		return c, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return claims{}, false
	}
	at := now.Unix()
	if c.Issued > at+60 || c.Issued < since || c.Expires <= at || c.Expires > c.Issued+int64(tokenLife/time.Second) {
		return claims{}, false
	}
	return c, true
}
