package embedded_test

import (
	"io"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// BenchmarkSend measures the server alone: a burst of equal send requests over one connection.
func BenchmarkSend(b *testing.B) {
	for _, ser := range serializations {
		b.Run(ser.String(), func(b *testing.B) {
			c := embedded.New(b, embedded.Config{RecordedRequests: -1})
			p := connect(b, c, c.Brokers()[0].Addr(), ser)
			req := wire.SendRequest{
				Group: "g", Topic: "t", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, MaxReconsumeTimes: -1,
				Properties: []byte("TAGS\x01a\x02UNIQ_KEY\x010123456789ABCDEF0123456789ABCDEF\x02"),
			}
			one, err := wire.AppendSend(nil, ser, wire.SendMessageV2, 1, 0, &req, nil, make([]byte, 1024))
			if err != nil {
				b.Fatal(err)
			}
			var burst []byte
			for range 32 {
				burst = append(burst, one...)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(one)))
			b.ResetTimer()
			go func() {
				for n := 0; n < b.N; n += 32 {
					if _, err := p.conn.Write(burst); err != nil {
						return
					}
				}
			}()
			r := wire.NewReader(p.conn, 0)
			for range b.N {
				if _, err := r.Next(); err != nil && err != io.EOF {
					b.Fatal(err)
				}
			}
		})
	}
}
