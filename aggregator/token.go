package aggregator

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// edgeToken is the configured token, or the one in the data directory, which
// is made at the first start. path is where it is kept, "" if it is
// configured.
func edgeToken(c *Config) (token, path string, err error) {
	if c.EdgeToken != "" {
		return c.EdgeToken, "", nil
	}
	path = c.tokenFile()
	if token, err = lastingSecret(path); err != nil {
		return "", "", fmt.Errorf("edge token: %w", err)
	}
	return token, path, nil
}

// lastingSecret reads the secret in a file, or makes one at the first start.
func lastingSecret(path string) (string, error) {
	secret, err := readSecret(path)
	if !errors.Is(err, os.ErrNotExist) {
		return secret, err
	}
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, writeSecret(path, secret)
}

// writeSecret makes a private file that is whole or not there.
func writeSecret(path, secret string) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(secret + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
