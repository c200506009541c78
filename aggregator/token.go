package aggregator

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/durable"
)

// trust makes the tokens known that are not in the store: the shared edge token
// and the owner's. What is not configured is made at the first start and kept
// in the data directory.
func (a *Aggregator) trust() error {
	edge := a.cfg.EdgeToken
	if edge == "" {
		var err error
		a.tokenPath = a.cfg.tokenFile()
		if edge, err = lastingSecret(a.tokenPath); err != nil {
			return fmt.Errorf("edge token: %w", err)
		}
	}
	owner, err := lastingSecret(a.cfg.ownerFile())
	if err != nil {
		return fmt.Errorf("owner token: %w", err)
	}
	a.store.keys.Trust("shared", edge, auth.ScopeEdge)
	a.store.keys.Trust("owner", owner, auth.ScopeAdmin)
	return nil
}

// lastingSecret reads the secret in a file, or makes one at the first start.
func lastingSecret(path string) (string, error) {
	secret, err := shared.ReadSecretFile(path)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return secret, err
	}
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, writeSecret(path, secret)
}

// edgeTokens lets edges in.
type edgeTokens struct{ keys *auth.Keys }

// Authorize implements receive.Tokens.
func (t edgeTokens) Authorize(token string) (receive.Permission, bool) {
	who, ok := t.keys.Identify(token)
	if !ok || !who.May(auth.ScopeEdge) {
		return receive.Permission{}, false
	}
	return receive.Permission{Name: who.Name, Edge: who.Edge, Sites: who.Sites}, true
}

// writeSecret makes a private file that is whole or not there.
func writeSecret(path, secret string) error {
	return durable.Replace(path, []byte(secret+"\n"), nil)
}
