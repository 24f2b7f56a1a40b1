package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// demo places orders on a cluster in this process, crashes, and starts again.
func demo(ctx context.Context, w io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	cluster, err := embedded.Start(ctx, embedded.Config{
		// A real broker asks for the first time after six seconds, and then twice a minute.
		TransactionTimeout: 2 * time.Second, TransactionCheckInterval: 300 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer cluster.Close()
	dir, err := os.MkdirTemp("", "orders-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o, err := openOrders(ctx, filepath.Join(dir, "orders.db"))
	if err != nil {
		return err
	}
	defer o.db.Close()
	s, err := startService(ctx, o, "Orders", cluster.NameServers()...)
	if err != nil {
		return err
	}

	say("Orders that nothing happens to:")
	for _, order := range [][2]string{{"order-1", "book"}, {"order-2", "unicorn"}} {
		res, err := s.place(ctx, order[0], order[1], func(bool) {})
		if err != nil {
			return err
		}
		say("  %s of a %s: %v", order[0], order[1], res.Decision)
	}

	say("Orders under which the service dies:")
	died := make(chan struct{})
	for order, written := range map[string]bool{"order-3": true, "order-4": false} {
		go func() {
			defer func() { died <- struct{}{} }()
			_, _ = s.place(ctx, order, "book", func(now bool) {
				if now == written {
					runtime.Goexit() // what follows never happens
				}
			})
		}()
		<-died
	}
	say("  order-3: its row is written, the broker was not told")
	say("  order-4: nothing is written, the broker was not told")
	if err := s.producer.Shutdown(ctx); err != nil {
		return err
	}

	say("The service starts again, and the broker asks it:")
	asked := make(chan string)
	o.checked = func(order string, d liftoff.TransactionDecision) { asked <- fmt.Sprintf("  %s: %v", order, d) }
	again, err := startService(ctx, o, "Orders", cluster.NameServers()...)
	if err != nil {
		return err
	}
	var answers []string
	for range 3 { // once about order-3, twice about order-4
		select {
		case answer := <-asked:
			answers = append(answers, answer)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	slices.SortStableFunc(answers, func(a, b string) int { return strings.Compare(a[:len("  order-3")], b[:len("  order-3")]) })
	say("%s", strings.Join(answers, "\n"))
	if err := again.producer.Shutdown(ctx); err != nil { // it waits until the broker is told
		return err
	}

	var seen []string
	for _, m := range cluster.Stored("Orders") {
		seen = append(seen, string(m.Body))
	}
	slices.Sort(seen)
	say("Consumers see: %s", strings.Join(seen, ", "))
	return nil
}
