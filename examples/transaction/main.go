// Transaction is an order service. An order is a row in a database, and a message that says so.
// Both happen or neither: the row is written between the half message and its end, with the
// message's id in it. Where the service dies in between, the broker asks, and the row is the
// answer.
//
// Without flags it runs on a cluster and a database of its own and shows two crashes. With
// -namesrv, -topic and -n it places orders against a cluster and prints a JSON line for each.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"github.com/liftoff-mq/liftoff"
)

func main() {
	namesrv := flag.String("namesrv", "", "address of a name server; without it the program brings a cluster of its own")
	topic := flag.String("topic", "Orders", "topic of the orders")
	n := flag.Int("n", 10, "how many orders to place")
	timeout := flag.Duration("timeout", time.Minute, "how long the program may take")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	var err error
	if *namesrv == "" {
		err = demo(ctx, os.Stdout)
	} else {
		err = place(ctx, os.Stdout, *namesrv, *topic, *n)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// orders is the service's database.
type orders struct {
	db *sql.DB
	// checked is told of each question and its answer; nil if nobody wants to know.
	checked func(order string, d liftoff.TransactionDecision)
}

const schema = `
CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, left INTEGER NOT NULL CHECK (left >= 0));
CREATE TABLE IF NOT EXISTS orders (message_id TEXT PRIMARY KEY, name TEXT NOT NULL, item TEXT NOT NULL);
INSERT OR IGNORE INTO stock VALUES ('book', 1000000), ('unicorn', 0);`

// openOrders opens the database in a file, and makes it if it is not there.
func openOrders(ctx context.Context, file string) (*orders, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &orders{db: db}, nil
}

var errOutOfStock = errors.New("out of stock")

// write is the local transaction: it takes the item out of the stock and writes the order
// down, both or neither.
func (o *orders) write(ctx context.Context, messageID, name, item string) error {
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	taken, err := tx.ExecContext(ctx, `UPDATE stock SET left = left - 1 WHERE item = ? AND left > 0`, item)
	if err != nil {
		return err
	}
	if rows, err := taken.RowsAffected(); err != nil || rows == 0 {
		return errors.Join(errOutOfStock, err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO orders VALUES (?, ?, ?)`, messageID, name, item); err != nil {
		return err
	}
	return tx.Commit()
}

// giveUp is how often a broker has to ask before an order that is not there never will be: no
// local transaction takes so long.
const giveUp = 2

// CheckTransaction answers what became of an order. The row says it, whichever process wrote it.
func (o *orders) CheckTransaction(ctx context.Context, c *liftoff.TransactionCheck) (liftoff.TransactionDecision, error) {
	decision := liftoff.TransactionUnknown // the local transaction may still be running
	var there int
	switch err := o.db.QueryRowContext(ctx, `SELECT 1 FROM orders WHERE message_id = ?`, c.MessageID).Scan(&there); {
	case err == nil:
		decision = liftoff.TransactionCommit
	case !errors.Is(err, sql.ErrNoRows):
		return decision, err
	case c.Times >= giveUp:
		decision = liftoff.TransactionRollback
	}
	if o.checked != nil {
		o.checked(string(c.Message.Body), decision)
	}
	return decision, nil
}

// service places orders.
type service struct {
	producer *liftoff.Producer
	orders   *orders
	topic    string
}

func startService(ctx context.Context, o *orders, topic string, nameServers ...string) (*service, error) {
	producer, err := liftoff.New(
		liftoff.Config{Group: "order-service", NameServers: nameServers},
		liftoff.WithTransactions(o, topic),
	)
	if err != nil {
		return nil, err
	}
	return &service{producer, o, topic}, producer.Start(ctx)
}

// place places an order. Crash is called before and after the local transaction.
func (s *service) place(ctx context.Context, name, item string, crash func(written bool)) (liftoff.TransactionResult, error) {
	msg := &liftoff.Message{Topic: s.topic, Body: []byte(name), Keys: []string{name}}
	return s.producer.SendTransaction(ctx, msg, func(ctx context.Context, half *liftoff.Result) (liftoff.TransactionDecision, error) {
		crash(false)
		err := s.orders.write(ctx, half.MessageID.String(), name, item)
		crash(true)
		switch {
		case errors.Is(err, errOutOfStock):
			return liftoff.TransactionRollback, nil // it is certain that there is no order
		case err != nil:
			return liftoff.TransactionUnknown, err // a commit that failed may have happened: the row will tell
		}
		return liftoff.TransactionCommit, nil
	})
}

// line is what place prints of a message.
type line struct {
	ID       string                      `json:"id"`
	Order    string                      `json:"order"`
	Decision liftoff.TransactionDecision `json:"decision"`
	Error    string                      `json:"error,omitempty"`
}

// place places n orders, every third one of something that is out of stock.
func place(ctx context.Context, w io.Writer, nameServer, topic string, n int) error {
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
	s, err := startService(ctx, o, topic, nameServer)
	if err != nil {
		return err
	}
	defer s.producer.Shutdown(ctx)
	out := json.NewEncoder(w)
	for i := range n {
		item := "book"
		if i%3 == 2 {
			item = "unicorn"
		}
		name := fmt.Sprintf("order-%d", i)
		res, err := s.place(ctx, name, item, func(bool) {})
		l := line{ID: res.MessageID.String(), Order: name, Decision: res.Decision}
		if err != nil {
			l.Error = err.Error()
		}
		if err := out.Encode(l); err != nil {
			return err
		}
	}
	return nil
}
