package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/liftoff-mq/liftoff/core"
)

// maxBody is the largest body that a broker takes by default, and so the
// longest line of text.
const maxBody = 4 << 20

// lineReader splits a stream at newlines without ever holding more than one
// line of it. A carriage return before the newline belongs to the line's end;
// the last line needs no newline.
type lineReader struct {
	r     *bufio.Reader
	limit int // the longest line, in bytes without its end
}

func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{bufio.NewReaderSize(r, 64<<10), limit}
}

// next gives the next line in memory of its own, and how many bytes of the
// stream it took. A *lineTooLong is this line's error: the next call goes on
// after it. io.EOF comes alone, after the last line.
func (l *lineReader) next() (line []byte, taken int64, err error) {
	over := false
	for {
		part, err := l.r.ReadSlice('\n')
		taken += int64(len(part))
		switch {
		case err == nil:
			part = part[:len(part)-1]
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && taken > 0:
		default:
			return nil, taken, err
		}
		// One byte more than the limit may be the carriage return.
		if over = over || len(line)+len(part) > l.limit+1; over {
			line = nil
		} else {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if n := len(line); err == nil && n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if over || len(line) > l.limit {
			return nil, taken, &lineTooLong{l.limit, taken}
		}
		return line, taken, nil
	}
}

// lineTooLong is a line above the limit.
type lineTooLong struct {
	limit int
	taken int64
}

func (e *lineTooLong) Error() string {
	return fmt.Sprintf("line of %d bytes is longer than the limit of %d", e.taken, e.limit)
}

func (e *lineTooLong) Unwrap() error { return core.ErrInvalidMessage }
