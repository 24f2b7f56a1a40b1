package integration

import (
	"crypto/sha256"
	"encoding/hex"
)

// maxBody is the greatest body that a broker takes with its default settings.
const maxBody = 4194304

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "..." + s[len(s)-n:]
}
