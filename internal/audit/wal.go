package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	segmentMagic  = "SALLYWAL"
	segmentHeader = 32
	walVersion    = 1

	groupMagic  = 0x53506731 // "SPg1"
	groupHeader = 28
	maxGroup    = 256 // entries in one group
	maxBody     = maxGroup * (maxEntry + 4)
)

var (
	errShort = errors.New("the group is not complete")
	errBad   = errors.New("a checksum does not match")
)

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func segmentName(dir string, base ID) string {
	return filepath.Join(dir, fmt.Sprintf("%020d.wal", uint64(base)))
}

func encodeSegmentHeader(base ID, at time.Time) []byte {
	b := make([]byte, 0, segmentHeader)
	b = append(b, segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, walVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(base))
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixNano()))
	return binary.BigEndian.AppendUint32(b, castagnoli(b))
}

func checkSegmentHeader(b []byte, base ID) error {
	switch {
	case len(b) < segmentHeader || string(b[:8]) != segmentMagic:
		return errors.New("it does not begin like a segment")
	case binary.BigEndian.Uint32(b[28:]) != castagnoli(b[:28]):
		return fmt.Errorf("segment header: %w", errBad)
	case binary.BigEndian.Uint32(b[8:]) != walVersion:
		return fmt.Errorf("segment version %d; this binary reads %d", binary.BigEndian.Uint32(b[8:]), walVersion)
	case binary.BigEndian.Uint64(b[12:]) != uint64(base):
		return errors.New("its name and its header disagree on the first sequence number")
	}
	return nil
}

// appendGroup frames payloads that begin at sequence number first.
func appendGroup(b []byte, first ID, payloads [][]byte) []byte {
	body := 0
	for _, p := range payloads {
		body += 4 + len(p)
	}
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, groupMagic)
	b = binary.BigEndian.AppendUint32(b, uint32(body))
	b = binary.BigEndian.AppendUint32(b, uint32(len(payloads)))
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, p := range payloads {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b[start+20:], castagnoli(b[start+groupHeader:]))
	binary.BigEndian.PutUint32(b[start+24:], castagnoli(b[start:start+24]))
	return b
}

type groupHead struct {
	body, count int
	first       ID
	sum         uint32
}

func parseGroupHeader(b []byte) (groupHead, error) {
	if len(b) < groupHeader {
		return groupHead{}, errShort
	}
	h := groupHead{
		body:  int(binary.BigEndian.Uint32(b[4:])),
		count: int(binary.BigEndian.Uint32(b[8:])),
		first: ID(binary.BigEndian.Uint64(b[12:])),
		sum:   binary.BigEndian.Uint32(b[20:]),
	}
	if binary.BigEndian.Uint32(b) != groupMagic || binary.BigEndian.Uint32(b[24:]) != castagnoli(b[:24]) ||
		h.body > maxBody || h.count < 1 || h.count > maxGroup {
		return groupHead{}, errBad
	}
	return h, nil
}

// readGroup reads the group at off. It returns io.EOF where the file ends exactly
// there, errShort where it ends inside the group, errBad where a checksum is wrong.
// The payloads are the caller's.
func readGroup(r io.ReaderAt, off int64) (first ID, payloads [][]byte, next int64, err error) {
	var head [groupHeader]byte
	n, err := r.ReadAt(head[:], off)
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, nil, off, io.EOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, off, err
	}
	h, err := parseGroupHeader(head[:n])
	if err != nil {
		return 0, nil, off, err
	}
	body := make([]byte, h.body)
	if n, err := r.ReadAt(body, off+groupHeader); n < h.body {
		if errors.Is(err, io.EOF) {
			err = errShort
		}
		return 0, nil, off, err
	}
	if castagnoli(body) != h.sum {
		return 0, nil, off, errBad
	}
	payloads, err = splitBody(body, h.count)
	return h.first, payloads, off + groupHeader + int64(h.body), err
}

func splitBody(body []byte, count int) ([][]byte, error) {
	payloads := make([][]byte, 0, count)
	for len(body) > 0 {
		if len(body) < 4 {
			return nil, errBad
		}
		n := binary.BigEndian.Uint32(body)
		if n > maxEntry || int(n) > len(body)-4 {
			return nil, errBad
		}
		payloads = append(payloads, body[4:4+n:4+n])
		body = body[4+n:]
	}
	if len(payloads) != count {
		return nil, errBad
	}
	return payloads, nil
}

// segments lists the first sequence numbers of the segments in dir, ascending.
func segments(dir string) ([]ID, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list audit segments: %w", err)
	}
	var bases []ID
	for _, item := range list {
		name, ok := strings.CutSuffix(item.Name(), ".wal")
		if !ok {
			continue
		}
		base, err := strconv.ParseUint(name, 10, 64)
		if err != nil || len(name) != 20 {
			return nil, fmt.Errorf("audit segment %q has a name that the log does not give", item.Name())
		}
		bases = append(bases, ID(base))
	}
	slices.Sort(bases)
	return bases, nil
}

// openSegment opens a segment for reading and checks its header.
func openSegment(dir string, base ID) (*os.File, error) {
	f, err := os.Open(segmentName(dir, base))
	if err != nil {
		return nil, fmt.Errorf("open audit segment %d: %w", base, err)
	}
	head := make([]byte, segmentHeader)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		_ = f.Close()
		return nil, fmt.Errorf("read audit segment %d: %w", base, err)
	}
	if err := checkSegmentHeader(head[:n], base); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("audit segment %d: %w", base, err)
	}
	return f, nil
}
