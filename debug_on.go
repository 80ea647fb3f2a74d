//go:build wsdebug

package websocket

// scribble says that a message that was on loan, to an EventHandler or to the body of
// a Messages loop, is overwritten when the loan is over, so that a later use shows.
const scribble = true

// overwrite is called with a message whose loan is over, before its buffer is used
// again.
func overwrite(p []byte) {
	for i := range p {
		p[i] = 0xdb
	}
}
