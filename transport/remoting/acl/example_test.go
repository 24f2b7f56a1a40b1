package acl_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func ExampleStatic() {
	keys, err := acl.Static(acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys.Credentials())
	// Output: {orders [hidden] } <nil>
}

func ExampleEnvironment() {
	_, err := acl.Environment("EXAMPLE_ROCKETMQ_")
	fmt.Println(err)
	// Output:
	// acl: environment variables EXAMPLE_ROCKETMQ_ACCESS_KEY, EXAMPLE_ROCKETMQ_SECRET_KEY, EXAMPLE_ROCKETMQ_SECURITY_TOKEN: the access key is missing
	// the secret key is missing
}

func ExampleNewFile() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "orders.keys")
	if err := os.WriteFile(path, []byte("accessKey=orders\nsecretKey=my-secret\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	keys, err := acl.NewFile(path) // the client that signs with it watches it for changes
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys.Credentials())
	// Output: {orders [hidden] } <nil>
}

// Credentials that something else renews, such as a vault's client.
func ExampleProviderFunc() {
	var now atomic.Pointer[acl.Credentials]
	keys := acl.ProviderFunc(func() (acl.Credentials, error) {
		if c := now.Load(); c != nil {
			return *c, nil
		}
		return acl.Credentials{}, errors.New("the vault has not answered yet")
	})
	signer, err := acl.NewSigner(keys)
	if err != nil {
		log.Fatal(err)
	}
	_, err = signer.Sign(remoting.SignRequest{})
	fmt.Println(err)
	now.Store(&acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret")})
	_, err = signer.Sign(remoting.SignRequest{})
	fmt.Println(err)
	// Output:
	// no credentials: the vault has not answered yet
	// <nil>
}

// A client whose requests are signed.
func ExampleNewSigner() {
	keys, err := acl.Static(acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret")})
	if err != nil {
		log.Fatal(err)
	}
	signer, err := acl.NewSigner(keys)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := remoting.NewClient(remoting.Config{NameServers: []string{"10.0.0.1:9876"}, Signer: signer}); err != nil {
		log.Fatal(err)
	}
	fields, err := signer.Sign(remoting.SignRequest{Fields: wire.Fields{{Key: "topic", Value: "orders"}}})
	fmt.Println(fields, err)
	// Output: [{AccessKey orders} {Signature NxKR/2lWNmZstt+RlwJ+5K+P9CI=}] <nil>
}

func ExampleNewSecret() {
	fmt.Printf("%+v\n", acl.NewSecret("my-secret"))
	// Output: [hidden]
}
