package core

import (
	"testing"
	"time"
)

func BenchmarkMessageID(b *testing.B) {
	m := newIDMaker(time.Now)
	b.Run("next", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.next()
		}
	})
	b.Run("next, many goroutines", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.next()
			}
		})
	})
	b.Run("appendHex", func(b *testing.B) {
		id, dst := m.next(), make([]byte, 0, 32)
		b.ReportAllocs()
		for b.Loop() {
			dst = id.appendHex(dst[:0])
		}
	})
}
