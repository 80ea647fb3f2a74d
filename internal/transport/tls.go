package transport

import (
	"bytes"
	"crypto/tls"
	"reflect"
)

// crypto/tls reads from its connection as much as there is, and gives out at most one
// record per Read. It does not tell that it holds more, so its buffers are looked at:
// the field input, a bytes.Reader of the rest of a record that was decrypted, and the
// field rawInput, whose bytes from off to the end of buf are records still encrypted.
// Where a version of Go has no such fields, nothing is known.
var tlsInput, readerBytes, readerPos, tlsRawInput, bufferBuf, bufferOff = tlsFields()

// recordHeader is the size of a record's header, which ends with the length (RFC
// 8446, section 5.1).
const recordHeader = 5

func tlsFields() (input, bytesAt, pos, raw, buf, off int) {
	known := true
	index := func(t reflect.Type, name string, want reflect.Type) int {
		f, ok := t.FieldByName(name)
		if !ok || f.Type != want || len(f.Index) != 1 {
			known = false
			return -1
		}
		return f.Index[0]
	}
	conn, reader, buffer := reflect.TypeFor[tls.Conn](), reflect.TypeFor[bytes.Reader](), reflect.TypeFor[bytes.Buffer]()
	input = index(conn, "input", reader)
	bytesAt = index(reader, "s", reflect.TypeFor[[]byte]())
	pos = index(reader, "i", reflect.TypeFor[int64]())
	raw = index(conn, "rawInput", buffer)
	buf = index(buffer, "buf", reflect.TypeFor[[]byte]())
	off = index(buffer, "off", reflect.TypeFor[int]())
	if !known {
		raw = -1
	}
	return input, bytesAt, pos, raw, buf, off
}

// tlsHolds returns how many bytes of records nc, or TLS under it, has read and not
// given out, and whether nc has a whole record, or the rest of one, among them. The
// caller is the one that reads.
func tlsHolds(nc *tls.Conn) (n int, record bool) {
	if tlsRawInput < 0 {
		return 0, false
	}
	if under, ok := nc.NetConn().(*tls.Conn); ok { // to a proxy
		n, _ = tlsHolds(under)
	}
	state := reflect.ValueOf(nc).Elem()
	input := state.Field(tlsInput)
	rest := max(0, input.Field(readerBytes).Len()-int(input.Field(readerPos).Int()))
	n += rest
	raw := state.Field(tlsRawInput)
	buf, off := raw.Field(bufferBuf), int(raw.Field(bufferOff).Int())
	own := buf.Len() - off
	n += own
	if rest > 0 || own < recordHeader {
		return n, rest > 0
	}
	length := buf.Index(off+3).Uint()<<8 | buf.Index(off+4).Uint()
	return n, own-recordHeader >= int(length)
}
