package rocketmq

// Bits of a message's system flag (Java: MessageSysFlag).
const (
	SysCompressed          int32 = 0x1
	SysMultiTags           int32 = 0x2
	SysTransactionMask     int32 = 0xC
	SysTransactionNone     int32 = 0x0
	SysTransactionPrepared int32 = 0x4
	SysTransactionCommit   int32 = 0x8
	SysTransactionRollback int32 = 0xC
	SysBornHostV6          int32 = 0x10
	SysStoreHostV6         int32 = 0x20
	SysNeedUnwrap          int32 = 0x40
	SysInnerBatch          int32 = 0x80
	// SysCompressionMask covers the number of a body's compression. Zero there, from
	// producers older than the numbers, stands for zlib.
	SysCompressionMask int32 = 0x700
	SysCompressionLZ4  int32 = 0x100
	SysCompressionZstd int32 = 0x200
	// SysCompressionZlib is what Java 4.9.4 and later write.
	SysCompressionZlib int32 = 0x300
)

// Bits of a queue's or topic's permission (Java: PermName). PermInherit on a topic
// lets brokers create others from its settings.
const (
	PermInherit  = 1
	PermWrite    = 2
	PermRead     = 4
	PermPriority = 8
)

// MasterID is the broker id of a master (Java: MixAll.MASTER_ID).
const MasterID int64 = 0

// BatchMessageOverhead is what a message takes in a batch besides body and properties,
// in bytes (Java: MessageDecoder.encodeMessage): size, magic, checksum, flag and body
// length, 4 bytes each, and properties length, 2 bytes.
const BatchMessageOverhead = 22
