package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Request codes (Java RequestCode) that only administration uses.
const (
	updateTopic  = 17
	runtimeInfo  = 28
	maxOffset    = 30
	routeOfTopic = 105
)

// patience is how long an answer may take: a broker under a flood of one-way messages has a long queue.
const patience = time.Minute

// ask makes one request on a connection of its own.
func ask(ctx context.Context, addr string, code int, fields wire.Fields) (wire.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return wire.Command{}, err
	}
	defer nc.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := nc.SetDeadline(d); err != nil {
			return wire.Command{}, err
		}
	}
	req, err := wire.AppendCommand(nil, &wire.Command{
		Code: code, Language: wire.LanguageGo, Version: wire.CurrentVersion, Opaque: 1, Ext: fields,
	})
	if err != nil {
		return wire.Command{}, err
	}
	if _, err := nc.Write(req); err != nil {
		return wire.Command{}, err
	}
	frame, err := wire.NewReader(nc, wire.MaxFrame).Next()
	if err != nil {
		return wire.Command{}, err
	}
	answer, err := wire.ParseFrame(frame)
	if err == nil && answer.Code != 0 {
		err = fmt.Errorf("request %d to %s: code %d %s", code, addr, answer.Code, answer.Remark)
	}
	return answer, err
}

// CreateTopic makes a topic on every broker and waits until the name server knows all of them.
func (c *Cluster) CreateTopic(ctx context.Context, topic string, queues int) error {
	n := strconv.Itoa(queues)
	for _, b := range c.Brokers() {
		_, err := ask(ctx, b.Addr, updateTopic, wire.Fields{
			{Key: "topic", Value: topic},
			{Key: "defaultTopic", Value: rocketmq.DefaultTopic},
			{Key: "readQueueNums", Value: n},
			{Key: "writeQueueNums", Value: n},
			{Key: "perm", Value: "6"},
			{Key: "topicFilterType", Value: "SINGLE_TAG"},
			{Key: "topicSysFlag", Value: "0"},
			{Key: "order", Value: "false"},
		})
		if err != nil {
			return fmt.Errorf("create topic: %w", err)
		}
	}
	for {
		answer, err := ask(ctx, c.NameServer(), routeOfTopic, wire.Fields{{Key: "topic", Value: topic}})
		known := err == nil
		for _, b := range c.Brokers() {
			known = known && strings.Contains(string(answer.Body), `"`+b.Name+`"`)
		}
		if known {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the name server does not know topic %s: %w", topic, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stored is the number of messages that the topic has ever got: the sum of its queues' next offsets.
func (c *Cluster) Stored(ctx context.Context, topic string, queues int) (int64, error) {
	var sum int64
	for _, b := range c.Brokers() {
		for q := range queues {
			answer, err := ask(ctx, b.Addr, maxOffset, wire.Fields{
				{Key: "topic", Value: topic}, {Key: "queueId", Value: strconv.Itoa(q)}, {Key: "committed", Value: "false"},
			})
			if err != nil {
				return 0, err
			}
			n, err := strconv.ParseInt(answer.Ext.Get("offset"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("offset of queue %d: %w", q, err)
			}
			sum += n
		}
	}
	return sum, nil
}

// Written is the number of bytes in the brokers' commit logs.
func (c *Cluster) Written(ctx context.Context) (int64, error) {
	var sum int64
	for _, b := range c.Brokers() {
		answer, err := ask(ctx, b.Addr, runtimeInfo, nil)
		if err != nil {
			return 0, err
		}
		var info struct{ Table map[string]string }
		if err := json.Unmarshal(answer.Body, &info); err != nil {
			return 0, fmt.Errorf("runtime info: %w", err)
		}
		n, err := strconv.ParseInt(info.Table["commitLogMaxOffset"], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("runtime info has no commitLogMaxOffset: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// Ready waits until the brokers can tell how much they have written: their statistics need a second after the start.
func (c *Cluster) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := c.Written(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Settle waits until the topic's count and the logs no longer grow, and returns both.
func (c *Cluster) Settle(ctx context.Context, topic string, queues int) (stored, written int64, err error) {
	const quiet = 300 * time.Millisecond
	for {
		s, err := c.Stored(ctx, topic, queues)
		if err != nil {
			return 0, 0, err
		}
		w, err := c.Written(ctx)
		if err != nil {
			return 0, 0, err
		}
		if s == stored && w == written {
			return s, w, nil
		}
		stored, written = s, w
		select {
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		case <-time.After(quiet):
		}
	}
}
