// Encrypt shows a step that changes bodies: it encrypts them before they are sent, and a consumer
// decrypts them. The step is in encrypt.go.
//
//	go run ./examples/encrypt
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) (err error) {
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	encryption, err := NewEncryption("2026", []byte("a key of 32 bytes, from a vault."))
	if err != nil {
		return err
	}
	producer, err := liftoff.New(liftoff.Config{Group: "bank", NameServers: cluster.NameServers()}, liftoff.WithHooks(encryption))
	if err != nil {
		return err
	}
	if err := producer.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Shutdown(ctx)) }()

	letter := "Dear Ms. Fox, " + strings.Repeat("blah ", 2000) // long enough for compression
	for _, body := range []string{"account 4711", letter} {
		if _, err := producer.Send(ctx, &liftoff.Message{Topic: "Letters", Body: []byte(body)}); err != nil {
			return err
		}
	}
	if _, err := producer.SendBatch(ctx, []*liftoff.Message{{Topic: "Letters", Body: []byte("one")}, {Topic: "Letters", Body: []byte("two")}}); err != nil {
		return err
	}
	// What a consumer does: it unpacks what is packed, then decrypts.
	for _, m := range cluster.Stored("Letters") {
		body, err := compress.Decompress(nil, m.Body, m.SysFlag, 4<<20)
		if err != nil {
			return err
		}
		clear, err := encryption.Open(body, m.Property)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d bytes are stored, clear text in them: %v; the consumer reads %.12q\n", len(m.Body), bytes.Contains(m.Body, clear), clear)
	}
	return nil
}
