package flate

import "sync"

// decoders is a pool for connections without takeover, which have a decoder only as
// long as a message is under way.
var decoders = sync.Pool{New: func() any { return new(Decoder) }}

// GetDecoder returns a decoder for one message, without takeover.
func GetDecoder() *Decoder { return decoders.Get().(*Decoder) }

// Release ends the use of d for one message. Without takeover d must not be used any
// more.
func (d *Decoder) Release() {
	if !d.Takeover() {
		decoders.Put(d)
	}
}
