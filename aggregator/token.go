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
	token, err = readSecret(path)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		if err != nil {
			err = fmt.Errorf("edge token: %w", err)
		}
		return token, path, err
	}
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	token = base64.RawURLEncoding.EncodeToString(b[:])
	if err := writeSecret(path, token); err != nil {
		return "", "", fmt.Errorf("keep edge token: %w", err)
	}
	return token, path, nil
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
