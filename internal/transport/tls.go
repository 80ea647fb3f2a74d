package transport

import (
	"bytes"
	"crypto/tls"
	"reflect"
)

// crypto/tls reads from its connection as much as there is, and gives out one record
// per Read. It does not tell that it holds more, so its buffer is looked at: the
// field rawInput, whose bytes from off to the end of buf are those not given out.
// Where a version of Go has no such fields, nothing is known.
var tlsRawInput, bufferBuf, bufferOff = tlsFields()

// recordHeader is the size of a record's header, which ends with the length (RFC
// 8446, section 5.1).
const recordHeader = 5

func tlsFields() (raw, buf, off int) {
	index := func(t reflect.Type, name string, want reflect.Type) int {
		f, ok := t.FieldByName(name)
		if !ok || f.Type != want || len(f.Index) != 1 {
			return -1
		}
		return f.Index[0]
	}
	buffer := reflect.TypeFor[bytes.Buffer]()
	raw = index(reflect.TypeFor[tls.Conn](), "rawInput", buffer)
	buf = index(buffer, "buf", reflect.TypeFor[[]byte]())
	off = index(buffer, "off", reflect.TypeFor[int]())
	if buf < 0 || off < 0 {
		raw = -1
	}
	return raw, buf, off
}

// tlsHolds returns how many bytes of records nc, or TLS under it, has read and not
// given out, and whether nc has a whole record among them. The caller is the one
// that reads.
func tlsHolds(nc *tls.Conn) (n int, record bool) {
	if tlsRawInput < 0 {
		return 0, false
	}
	if under, ok := nc.NetConn().(*tls.Conn); ok { // to a proxy
		n, _ = tlsHolds(under)
	}
	raw := reflect.ValueOf(nc).Elem().Field(tlsRawInput)
	buf, off := raw.Field(bufferBuf), int(raw.Field(bufferOff).Int())
	own := buf.Len() - off
	n += own
	if own < recordHeader {
		return n, false
	}
	length := buf.Index(off+3).Uint()<<8 | buf.Index(off+4).Uint()
	return n, own-recordHeader >= int(length)
}
