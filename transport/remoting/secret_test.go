package remoting_test

import (
	"fmt"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/remoting"
)

const secretText = "s3cr3t-of-the-test"

func TestSecretAsText(t *testing.T) {
	var s remoting.Secret
	if err := s.UnmarshalText([]byte(secretText)); err != nil || s.Reveal() != secretText || s.IsZero() {
		t.Errorf("%q, %v", s.Reveal(), err)
	}
	text, err := s.MarshalText()
	if err != nil || string(text) != "[hidden]" {
		t.Errorf("written as %q, %v", text, err)
	}
	if err := s.UnmarshalText(text); err == nil || s.Reveal() != secretText {
		t.Errorf("what was hidden is read: %q, %v", s.Reveal(), err)
	}
	if err := s.UnmarshalText(nil); err != nil || !s.IsZero() || s.Reveal() != "" || s.String() != "" {
		t.Errorf("no text: %q, %v", s.Reveal(), err)
	}
	for _, x := range []struct {
		a, b  string
		equal bool
	}{{"a", "a", true}, {"a", "b", false}, {"", "", true}, {"", "a", false}} {
		if remoting.NewSecret(x.a).Equal(remoting.NewSecret(x.b)) != x.equal {
			t.Errorf("%q and %q", x.a, x.b)
		}
	}
}

func ExampleNewSecret() {
	fmt.Printf("%+v\n", remoting.NewSecret("my-secret"))
	// Output: [hidden]
}
