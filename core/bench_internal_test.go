package core

import (
	"testing"
	"time"
)

func BenchmarkMessageID(b *testing.B) {
	m, now := new(idMaker), time.Now()
	b.Run("next", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.take(now, 1)
		}
	})
	b.Run("next, many goroutines", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.take(now, 1)
			}
		})
	})
	b.Run("appendHex", func(b *testing.B) {
		id, dst := m.take(now, 1), make([]byte, 0, 32)
		b.ReportAllocs()
		for b.Loop() {
			dst = id.appendHex(dst[:0])
		}
	})
}
