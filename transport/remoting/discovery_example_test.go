package remoting_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// An HTTP endpoint leads to the name servers of a unit.
func ExampleDiscovery() {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("asked for", r.URL)
		fmt.Fprintln(w, "10.0.0.1:9876;10.0.0.2:9876")
	}))
	defer endpoint.Close()
	client, err := remoting.NewClient(remoting.Config{
		UnitName:  "shanghai",
		Discovery: remoting.Discovery{Endpoint: endpoint.URL, Interval: time.Minute},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("before Start:", client.NameServers())
	if err := client.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	for len(client.NameServers()) == 0 { // a send would wait by itself
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("found:", client.NameServers())
	if err := client.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// before Start: []
	// asked for /rocketmq/nsaddr-shanghai?nofix=1
	// found: [10.0.0.1:9876 10.0.0.2:9876]
}

// A file that something else writes, as a source of the program's own.
func ExampleNameServerFunc() {
	dir, err := os.MkdirTemp("", "servers")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "name-servers")
	if err := os.WriteFile(path, []byte("10.0.0.1:9876\n10.0.0.2:9876\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	source := remoting.NameServerFunc(func(context.Context) ([]string, error) {
		list, err := os.ReadFile(path)
		return []string{string(list)}, err
	})
	fmt.Println(source.NameServers(context.Background()))
	_, err = remoting.NewClient(remoting.Config{Discovery: remoting.Discovery{Source: source}})
	fmt.Println(err)
	// Output:
	// [10.0.0.1:9876
	// 10.0.0.2:9876
	// ] <nil>
	// <nil>
}
