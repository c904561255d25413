package healthcheck

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
)

// digest is the sum that a body must have.
type digest struct {
	hash func() hash.Hash
	sum  []byte
}

// parseDigest parses a sum in hexadecimal. Its length determines the kind: keepalived's genhash prints MD5.
func parseDigest(text string) (*digest, error) {
	sum, err := hex.DecodeString(strings.ToLower(text))
	switch {
	case err != nil:
		return nil, err
	case len(sum) == md5.Size:
		return &digest{md5.New, sum}, nil
	case len(sum) == sha256.Size:
		return &digest{sha256.New, sum}, nil
	}
	return nil, errors.New("not the length of an MD5 or SHA-256 sum")
}
