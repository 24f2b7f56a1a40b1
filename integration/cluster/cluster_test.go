package cluster_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/integration/cluster"
)

func TestMissingToolsAreNamedAndNotSkipped(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := cluster.Launch(cluster.Options{})
	if err == nil || !strings.Contains(err.Error(), "Java 17 and Maven") || !strings.Contains(err.Error(), "java, mvn, bash") {
		t.Fatalf("got %v, want an error that names what is missing", err)
	}
}
