package shared

import (
	"regexp"
	"testing"
)

// The id is a contract: other tools make it from the columns.
//
//	printf '0102030405060708090a0b0c0d0e0f1000000000000000ff000000000000002a' | sha256sum
func TestEventIDFollowsFromTheKey(t *testing.T) {
	edge := EdgeID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	const want = "ed106134-9a2c-897b-9386-6384ba7fc108"
	if got := EventID(edge, 255, 42); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for seq := range uint64(1000) {
		for _, id := range []string{EventID(edge, 1, seq), EventID(edge, 2, seq), EventID(EdgeID{}, 1, seq)} {
			if !form.MatchString(id) || seen[id] {
				t.Fatalf("id %s is no UUIDv8, or not unique", id)
			}
			seen[id] = true
		}
	}
}

func TestVisitorUUID(t *testing.T) {
	for _, id := range []uint64{1, 0x0123456789abcdef, 1<<64 - 1} {
		s := VisitorUUID(id)
		if back, ok := ParseVisitorUUID(s); !ok || back != id {
			t.Errorf("%x became %s became %x, %v", id, s, back, ok)
		}
	}
	if s := VisitorUUID(0x0123456789abcdef); s != "01234567-89ab-8cde-800f-000000000000" {
		t.Error(s)
	}
	for _, s := range []string{
		"", "01234567-89ab-4cde-800f-000000000000", "01234567-89ab-8cde-800f-000000000001",
		"01234567-89AB-8cde-800f-000000000000", "01234567_89ab-8cde-800f-000000000000", "+1234567-89ab-8cde-800f-000000000000",
	} {
		if id, ok := ParseVisitorUUID(s); ok {
			t.Errorf("%q is taken for visitor %x", s, id)
		}
	}
}
