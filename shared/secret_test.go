package shared

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	salt := Salt{Site: "a", From: 1, Until: 2, Identity: IdentityDay}
	for i := range salt.Key {
		salt.Key[i] = byte(200 + i)
	}
	b, err := json.Marshal(salt)
	if err != nil {
		t.Fatal(err)
	}
	var again Salt
	if err := json.Unmarshal(b, &again); err != nil || again != salt {
		t.Errorf("%s becomes %v, %v", b, again.Key == salt.Key, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if text := fmt.Sprintf(verb, salt.Key); text != "(secret)" {
			t.Errorf("%s prints %s", verb, text)
		}
		for _, text := range []string{fmt.Sprintf(verb, salt), fmt.Sprintf(verb, &salt), fmt.Sprintf(verb, []Salt{salt})} {
			if strings.Contains(text, "200") || strings.Contains(text, "c8") || strings.Contains(text, "0xc8") {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
	for _, text := range []string{`{"key":""}`, `{"key":"AAAA"}`, `{"key":"!"}`, `{"key":[1,2]}`} {
		if json.Unmarshal([]byte(text), &again) == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
