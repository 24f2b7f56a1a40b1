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

func TestWhatCannotBeStartedIsAnError(t *testing.T) {
	for _, tt := range []struct {
		o    realcluster.Options
		want string
	}{
		{realcluster.Options{Brokers: 3}, "one or two"},
		{realcluster.Options{Brokers: 2, Slave: true}, "one of them"},
		{realcluster.Options{Slave: true, Proxy: true}, "one of them"},
		{realcluster.Options{Version: "4.9.7", Proxy: true}, "does not have a proxy"},
		{realcluster.Options{Version: "4.9.7", Controller: true}, "does not have a controller"},
		{realcluster.Options{Container: true, ActingMaster: true}, "one of them"},
	} {
		if _, err := realcluster.Launch(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want an error with %q", tt.o, err, tt.want)
		}
	}
}
