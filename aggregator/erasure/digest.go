package erasure

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"strings"
)

// digest stands for an id: the first half of an HMAC-SHA256 under the ledger's
// key. Without the key nobody can try ids out.
type digest [16]byte

func (d digest) String() string { return hex.EncodeToString(d[:]) }

func parseDigest(text string) (d digest, ok bool) {
	b, err := hex.DecodeString(text)
	return digest(append(b, make([]byte, len(d))...)[:len(d)]), err == nil && len(b) == len(d)
}

const keyBytes = 32

// key makes digests.
type key []byte

// name tells one key from another.
func (k key) name() string {
	sum := sha256.Sum256(append([]byte("eider erasure key\x00"), k...))
	return hex.EncodeToString(sum[:8])
}

// digester makes the digests of a site's ids, for one goroutine.
type digester struct {
	mac  hash.Hash
	site string
	buf  []byte
	sum  [sha256.Size]byte
}

func (k key) of(site string) *digester { return &digester{mac: hmac.New(sha256.New, k), site: site} }

func (d *digester) visitor(id uint64) digest {
	d.begin('v')
	d.buf = binary.BigEndian.AppendUint64(d.buf, id)
	return d.end()
}

func (d *digester) distinct(id string) digest {
	d.begin('d')
	d.buf = append(d.buf, id...)
	return d.end()
}

func (d *digester) begin(kind byte) {
	d.buf = append(append(d.buf[:0], d.site...), 0, kind)
}

func (d *digester) end() digest {
	d.mac.Reset()
	d.mac.Write(d.buf)
	return digest(d.mac.Sum(d.sum[:0])[:len(digest{})])
}

// readKey reads the key; nil if there is none.
func readKey(path string) (key, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of erasures: %w", err)
	}
	k, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(k) != keyBytes {
		return nil, fmt.Errorf("%s is no key of erasures: restore it from a backup, or remove it (erasures of visitors can't be applied again then)", path)
	}
	return k, nil
}

// makeKey makes the key, once.
func makeKey(path string) (key, error) {
	k := make(key, keyBytes)
	_, _ = rand.Read(k) // never fails since Go 1.24
	if err := writeFile(path, []byte(hex.EncodeToString(k)+"\n")); err != nil {
		return nil, fmt.Errorf("write the key of erasures: %w", err)
	}
	return k, nil
}
