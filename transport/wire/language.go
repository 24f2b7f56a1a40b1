package wire

import (
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// Serialization is the form of a header. Servers of 4.9 answer in the form of the request; those
// of 5.3 understand both and answer in their own, which is JSON by default.
type Serialization uint8

const (
	// JSON is the default form of Java clients and the only one of the official Go client.
	JSON Serialization = 0
	// RocketMQ is the binary form: smaller and much cheaper to read and write. Codes and
	// versions above 32767 do not fit it.
	RocketMQ Serialization = 1
)

// String returns Java's name: JSON or ROCKETMQ.
func (s Serialization) String() string {
	switch s {
	case JSON:
		return "JSON"
	case RocketMQ:
		return "ROCKETMQ"
	}
	return "Serialization(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText gives the same text as String.
func (s Serialization) MarshalText() ([]byte, error) {
	if s > RocketMQ {
		return nil, &EncodeError{What: "serialization", Reason: "unknown number " + strconv.Itoa(int(s))}
	}
	return []byte(s.String()), nil
}

// UnmarshalText takes JSON and ROCKETMQ, in upper or lower case.
func (s *Serialization) UnmarshalText(text []byte) error {
	v, err := ParseSerialization(strings.ToUpper(string(text)))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// ParseSerialization is the inverse of String. Java's property rocketmq.serialize.type and
// environment variable ROCKETMQ_SERIALIZE_TYPE hold these names.
func ParseSerialization(name string) (Serialization, error) {
	switch name {
	case "JSON":
		return JSON, nil
	case "ROCKETMQ":
		return RocketMQ, nil
	}
	return 0, &DecodeError{Part: "serialization", Reason: "neither JSON nor ROCKETMQ: " + words.Quote(name), Offset: -1}
}

// Language is the programming language a peer claims to be written in (Java LanguageCode).
// Peers may send numbers and names that are not listed here.
type Language uint8

// The languages that LanguageCode lists, under its numbers.
const (
	LanguageJava   Language = 0
	LanguageCPP    Language = 1
	LanguageDotNet Language = 2
	LanguagePython Language = 3
	LanguageDelphi Language = 4
	LanguageErlang Language = 5
	LanguageRuby   Language = 6
	LanguageOther  Language = 7
	LanguageHTTP   Language = 8
	LanguageGo     Language = 9
	LanguagePHP    Language = 10
	LanguageOMS    Language = 11
	LanguageRust   Language = 12
	LanguageNodeJS Language = 13
)

// String returns the name that JSON headers carry, and OTHER for unlisted numbers.
func (l Language) String() string {
	switch l {
	case LanguageJava:
		return "JAVA"
	case LanguageCPP:
		return "CPP"
	case LanguageDotNet:
		return "DOTNET"
	case LanguagePython:
		return "PYTHON"
	case LanguageDelphi:
		return "DELPHI"
	case LanguageErlang:
		return "ERLANG"
	case LanguageRuby:
		return "RUBY"
	case LanguageHTTP:
		return "HTTP"
	case LanguageGo:
		return "GO"
	case LanguagePHP:
		return "PHP"
	case LanguageOMS:
		return "OMS"
	case LanguageRust:
		return "RUST"
	case LanguageNodeJS:
		return "NODE_JS"
	}
	return "OTHER"
}

// ParseLanguage returns the language of a name; an unknown name is LanguageOther, because a
// header is no worse for it.
func ParseLanguage(name string) Language {
	for l := LanguageJava; l <= LanguageNodeJS; l++ {
		if l.String() == name {
			return l
		}
	}
	return LanguageOther
}

// parseLanguage is ParseLanguage without turning the bytes into a string.
func parseLanguage(name []byte) Language {
	for l := LanguageJava; l <= LanguageNodeJS; l++ {
		if l.String() == string(name) {
			return l
		}
	}
	return LanguageOther
}

// MarshalText returns the name, so that encoding/json writes what Java writes.
func (l Language) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText never fails; see [ParseLanguage].
func (l *Language) UnmarshalText(text []byte) error {
	*l = parseLanguage(text)
	return nil
}
