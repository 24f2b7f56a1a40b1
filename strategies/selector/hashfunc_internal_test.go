package selector

import (
	"fmt"
	"hash/fnv"
	"testing"

	"pgregory.net/rapid"
)

// From the paper's reference implementation (vectors.h): the first n bytes of 00 01 02 ...
// with the key 00 01 ... 0f.
func TestSipHashVectors(t *testing.T) {
	const text = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"
	for n, want := range map[int]uint64{
		0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 7: 0xab0200f58b01d137, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5,
	} {
		if got := sip(text[:n]); got != want {
			t.Errorf("of %d bytes: %#016x, want %#016x", n, got, want)
		}
	}
}

// What Guava 32.0.1, which RocketMQ 5.3.3 has with it, makes of 20,000 keys and of 1 to 200
// queues each: LongMath.mod(Hashing.sipHash24()...) as the v5 client for Java takes it, and
// Hashing.consistentHash(key.hashCode(), queues) as the proxy does.
func TestQueuesAsGuavaHasThem(t *testing.T) {
	for f, want := range map[HashFunc]int64{HashV5: 1854199642006971232, HashProxy: 9007686862425376789} {
		sum := int64(17)
		for i := range 20000 {
			sum = sum*31 + int64(f.remainder(fmt.Sprintf("key-%d", i), i%200+1))
		}
		if sum != want {
			t.Errorf("%v: the digest is %d, want %d", f, sum, want)
		}
	}
}

func TestFNVIsTheStandardLibrarys(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.String().Draw(rt, "s")
		h := fnv.New32a()
		_, _ = h.Write([]byte(s))
		if got, want := fnv32(s), h.Sum32(); got != want {
			rt.Errorf("of %q: %d, want %d", s, got, want)
		}
	})
}

// The definition in the paper: of the numbers of buckets up to n, the last one at which the key
// changes to the new bucket. So it never moves between old buckets.
func TestJumpMovesToNewBucketsOnly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.Uint64().Draw(rt, "key")
		at := 0
		for n := 1; n <= 300; n++ {
			next := jump(key, n)
			if next != at && next != n-1 {
				rt.Fatalf("with %d buckets %d is in %d, with one less it is in %d", n, key, next, at)
			}
			at = next
		}
	})
}
