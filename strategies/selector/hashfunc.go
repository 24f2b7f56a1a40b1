package selector

import (
	"math/bits"
	"unicode/utf16"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/enum"
)

// HashFunc is a way from a key to a queue. Producers that write one topic in order must use
// the same one. All see a route's queues by broker name, then by id, unless the topic has an
// order configuration; where a producer in another language sees another list, a key has
// another queue there.
type HashFunc uint8

// The functions. What they do when the list of queues changes is the difference that matters;
// docs/strategies.md has numbers.
const (
	// HashJava is Java's SelectMessageQueueByHash: |String.hashCode % queues|. It is the
	// default. When the number of queues changes, most keys move. Keys that end in digits suit
	// it badly where the number of queues is a multiple of 31, or next to one such as 32 or 64:
	// of 31 queues numbers use 10, and of 64 some get three times what others get.
	HashJava HashFunc = iota
	// HashGo is the hash selector of Apache's Go client for remoting: FNV-1a of 32 bits,
	// modulo the number of queues. When that changes, most keys move.
	HashGo
	// HashV5 is the choice by message group of Apache's clients for gRPC in Java and Go:
	// SipHash-2-4 with Guava's key, modulo the number of queues. When that changes, most keys
	// move. RocketMQ's own proxy does not heed that choice; it makes its own, [HashProxy].
	HashV5
	// HashProxy is where RocketMQ's proxy puts a message group (5.x, SendMessageActivity): the jump
	// consistent hash of String.hashCode. Producers for gRPC behind that proxy and this one agree. It
	// moves few keys, as HashJump does. Keys of one String.hashCode, such as "Aa" and "BB", stay
	// together.
	HashProxy
	// HashJump is the jump consistent hash (Lamping and Veach) of SipHash-2-4. When queues are
	// added at the end of the list, the new ones get their share of the keys, and no other key
	// moves. The same backwards when the last ones leave: those of the last broker by name. When
	// a broker in the middle comes or leaves, the keys of all queues behind it move too. A pick
	// costs a step for each doubling of the number of queues.
	HashJump
	// HashRendezvous gives a key to the queue with the highest score for it (Thaler and
	// Ravishankar), made of the key, the broker's name and the queue's id, in a static topic of
	// the id alone. Whatever broker leaves, only its keys move, evenly to all others; whatever
	// broker comes, only its share moves, to it. A pick costs a step for each queue.
	HashRendezvous
)

var hashFuncNames = []string{"java", "go", "v5", "proxy", "jump", "rendezvous"}

// String gives the name.
func (f HashFunc) String() string { return enum.Name(hashFuncNames, int(f)) }

// MarshalText gives the name.
func (f HashFunc) MarshalText() ([]byte, error) {
	return enum.Marshal("hash function", hashFuncNames, int(f))
}

// UnmarshalText takes a name.
func (f *HashFunc) UnmarshalText(text []byte) error {
	return enum.Unmarshal("hash function", hashFuncNames, text, f)
}

// hashFuncTexts say what a function is, for descriptions.
var hashFuncTexts = []string{
	"as in Java", "as in the Go client (FNV-1a)", "as in the v5 clients (SipHash)", "as in the proxy (jump hash of Java's)",
	"jump consistent hash", "rendezvous hash",
}

// remainder is the index of a key by the functions that know nothing but how many queues
// there are.
func (f HashFunc) remainder(key string, n int) int {
	switch f {
	case HashGo:
		return int(uint64(fnv32(key)) % uint64(n))
	case HashV5:
		// Java's LongMath.mod: of a signed number, from 0 on.
		i := int64(sip(key)) % int64(n)
		if i < 0 {
			i += int64(n)
		}
		return int(i)
	case HashProxy:
		return jump(uint64(int64(JavaHash(key))), n)
	case HashJump:
		return jump(sip(key), n)
	default:
		// Java: abs(hashCode % n). The remainder of an int64 cannot be the one
		// value that has no absolute.
		i := int64(JavaHash(key)) % int64(n)
		return int(max(i, -i))
	}
}

// JavaHash is Java's String.hashCode: over UTF-16 units, so that a character
// beyond U+FFFF counts as its two surrogates. A byte that is not UTF-8 counts as
// U+FFFD, which is what Java makes of it when it decodes the string.
func JavaHash(s string) int32 {
	var h int32
	for _, r := range s {
		if high, low := utf16.EncodeRune(r); high != '\uFFFD' {
			h = 31*h + high
			r = low
		}
		h = 31*h + r
	}
	return h
}

// fnv32 is FNV-1a of 32 bits. The one of hash/fnv needs the text as bytes, a copy.
func fnv32(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// jump is the jump consistent hash of n buckets: "A Fast, Minimal Memory, Consistent Hash
// Algorithm" (2014). The quotient is taken as Guava's Hashing.consistentHash takes it, so
// that both round alike.
func jump(key uint64, n int) int {
	at := 0
	for {
		key = key*2862933555777941757 + 1
		next := float64(at+1) / (float64(key>>33+1) / (1 << 31))
		if next >= float64(n) {
			return at
		}
		at = int(next)
	}
}

// sip is SipHash-2-4 with the key 00 01 ... 0f, which Guava's Hashing.sipHash24 and the v5
// client for Go use. A text that strangers choose, such as a customer's name, cannot be made to
// collide with others cheaply unless they know the key, and they do: it is the key's
// quality that counts here, not its secrecy.
func sip(s string) uint64 {
	const k0, k1 = 0x0706050403020100, 0x0f0e0d0c0b0a0908
	v := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(s)) << 56
	for ; len(s) >= 8; s = s[8:] {
		v.add(word(s[:8]))
	}
	v.add(last | word(s))
	v.c ^= 0xff
	v.round()
	v.round()
	v.round()
	v.round()
	return v.a ^ v.b ^ v.c ^ v.d
}

// word is up to eight bytes as a number, the first one lowest.
func word(s string) (w uint64) {
	for i := range len(s) {
		w |= uint64(s[i]) << (8 * i)
	}
	return w
}

type sipState struct{ a, b, c, d uint64 }

func (v *sipState) add(w uint64) {
	v.d ^= w
	v.round()
	v.round()
	v.a ^= w
}

func (v *sipState) round() {
	v.a += v.b
	v.b = bits.RotateLeft64(v.b, 13) ^ v.a
	v.a = bits.RotateLeft64(v.a, 32)
	v.c += v.d
	v.d = bits.RotateLeft64(v.d, 16) ^ v.c
	v.a += v.d
	v.d = bits.RotateLeft64(v.d, 21) ^ v.a
	v.c += v.b
	v.b = bits.RotateLeft64(v.b, 17) ^ v.c
	v.c = bits.RotateLeft64(v.c, 32)
}

// scores are what rendezvous hashing knows of a route's queues: a number for each, made of
// its name.
type scores []uint64

func scoresOf(r *core.Route) *scores {
	of := make(scores, r.Len())
	broker, name := "", uint64(0)
	for i := range of {
		q := r.Queue(i)
		if !r.Static() && (i == 0 || q.Broker != broker) {
			broker, name = q.Broker, sip(q.Broker)
		}
		of[i] = mix(name + uint64(q.ID))
	}
	return &of
}

// highest is the queue with the highest score for the key.
func (of scores) highest(key string) (index int) {
	k, top := sip(key), uint64(0)
	for i, queue := range of {
		if score := mix(k ^ queue); score > top {
			index, top = i, score
		}
	}
	return index
}

// mix is the finalizer of SplitMix64: every bit of x counts for every bit of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
