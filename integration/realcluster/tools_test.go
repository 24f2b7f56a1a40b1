package realcluster_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

func TestMissingToolsAreNamedAndNotSkipped(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := realcluster.Launch(t.Context(), realcluster.Options{})
	if err == nil || !strings.Contains(err.Error(), "Java 17 and Maven") || !strings.Contains(err.Error(), "java, mvn, bash") {
		t.Fatalf("got %v, want an error that names what is missing", err)
	}
}

func TestOneOrTwoBrokers(t *testing.T) {
	if _, err := realcluster.Launch(t.Context(), realcluster.Options{Brokers: 3}); err == nil || !strings.Contains(err.Error(), "one or two") {
		t.Fatalf("got %v, want an error", err)
	}
}
