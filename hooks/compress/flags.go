package compress

// The bits of a message's system flag that are about compression (Java:
// MessageSysFlag).
const (
	// FlagCompressed marks a packed body.
	FlagCompressed int32 = 0x1
	// FlagTypeMask covers the number of the codec. Zero, from producers older
	// than the numbers, stands for zlib.
	FlagTypeMask int32 = 0x700
	FlagLZ4      int32 = 0x100
	FlagZstd     int32 = 0x200
	FlagZlib     int32 = 0x300
)
