package wire

import "strconv"

// The ordinals of MQVersion from 4.0.0 on go up in step with the digits of the versions: each
// version has one, behind that of its snapshot.
const (
	v4_0_0      = 213
	lastVersion = v4_0_0 + 2*(5*100+99) // 9.9.9; later ones are HIGHER_VERSION
)

// VersionText is the text of a version in a header: "5.3.3" or "5.3.4-SNAPSHOT", and "unknown(n)" for
// those that are older than 4.0.0 or beyond all that MQVersion has.
func VersionText(version int) string {
	if version < v4_0_0 || version > lastVersion {
		return "unknown(" + strconv.Itoa(version) + ")"
	}
	step := version - v4_0_0 + 1
	n := strconv.Itoa(400 + step/2)
	text := n[:1] + "." + n[1:2] + "." + n[2:]
	if step%2 == 0 {
		text += "-SNAPSHOT"
	}
	return text
}
