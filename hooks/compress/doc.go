// Package compress packs message bodies, as Java's producer does: zlib, LZ4 or
// Zstandard. The transport tells consumers by the codec's name how to unpack them;
// RocketMQ's own protocol has bits in the message's system flag for that.
//
// [New] makes a step around a codec, in the encode stage of message scope, so
// that a body is packed once a call and not once an attempt. Codecs are
// [Zlib], [LZ4] and [Zstd], or any [core.Compressor] that the transport knows. The
// user's message keeps its body: only what goes on the wire changes. A step that
// changes bodies itself, such as encryption, has to name this one in Step.Before, since
// a packed body cannot be changed ([core.ErrEncoded]); examples/encrypt is one.
//
//	            bits in the system flag   read by
//	----------  ------------------------  ------------------------------
//	Zlib        0x301                     every consumer
//	LZ4         0x101                     Java consumers from 4.9.4 on
//	Zstd        0x201                     Java consumers from 4.9.4 on
//
// Go's official client (v2.1.2) and consumers before 4.9.4 take every packed
// body for zlib, so zlib is the choice where consumers are not known.
//
// [Decompress] is the way back, bounded, for programs that read stored messages.
//
// Operations, such as a recall, have no body, so this step takes no part in them.
package compress
