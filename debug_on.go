//go:build wsdebug

package websocket

// scribble has a Loop overwrite a message when its loan is over, so that the
// misuse of one shows.
const scribble = true
