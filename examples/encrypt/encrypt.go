package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
)

// keyProperty names the key that a body is encrypted with, so that keys can change while
// messages are stored. A message without it is in clear.
const keyProperty = "enc-key"

// Encryption encrypts bodies with AES-GCM. It is a step of the producer, and the consumer's
// way back.
type Encryption struct {
	keyID string
	aead  cipher.AEAD
}

// NewEncryption takes a key of 16, 24 or 32 bytes and a name for it.
func NewEncryption(keyID string, key []byte) (*Encryption, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encryption: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block) // puts the nonce in front
	if err != nil {
		return nil, fmt.Errorf("encryption: %w", err)
	}
	return &Encryption{keyID: keyID, aead: aead}, nil
}

// Step stands outside of compression. That cannot be the other way round: the transport tells
// consumers that a body is packed, so they would unpack ciphertext, and core refuses a change
// of a packed body ([core.ErrEncoded]). Ciphertext does not get smaller, so compression leaves
// it as it is. Who wants both packs the clear text here, and says so in a property.
func (e *Encryption) Step() core.Step {
	return core.CallStep("encrypt", core.StageEncode, e).Before("compress.zlib?")
}

// Intercept encrypts what is sent; the caller's message stays as it is. It runs once a call,
// so all attempts of a call send the same bytes.
func (e *Encryption) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	for out := range call.All() { // one message, or those of a batch
		// The id is part of what is sealed, so a body cannot be moved to another message.
		out.SetBody(e.aead.Seal(nil, nil, out.Body(), []byte(out.MessageID().String())))
		out.SetProperty(keyProperty, e.keyID)
	}
	return next(ctx, call)
}

// Describe is what the pipeline says of the step.
func (e *Encryption) Describe() core.Description {
	return core.Description{Summary: "AES-GCM", Settings: []core.Setting{{Name: "key", Value: e.keyID}}}
}

// Open is for consumers: it gives the clear body of a message with these properties.
func (e *Encryption) Open(body []byte, property func(name string) string) ([]byte, error) {
	if id := property(keyProperty); id != e.keyID {
		return nil, fmt.Errorf("encryption: the message needs the key %q", id)
	}
	return e.aead.Open(nil, nil, body, []byte(property("UNIQ_KEY")))
}
