package shared

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

// Secret is a key of 32 bytes. Printed, it says nothing; in JSON it is base64,
// for those who are meant to have it.
type Secret [32]byte

// String hides the key from logs and errors.
func (Secret) String() string { return "(secret)" }

// GoString hides it from %#v.
func (Secret) GoString() string { return "(secret)" }

// Format hides it from every other verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(secret)")) }

// MarshalText writes base64.
func (s Secret) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, s[:]), nil
}

// UnmarshalText reads exactly 32 bytes of base64.
func (s *Secret) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(b) != len(s) {
		return fmt.Errorf("a key must be %d bytes in base64", len(s))
	}
	copy(s[:], b)
	return nil
}

// ReadSecretFile reads a file of one secret, such as a token; the line's end is
// not part of it. An empty one is an error: nobody means that.
func ReadSecretFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}
