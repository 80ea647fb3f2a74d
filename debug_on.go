//go:build wsdebug

package websocket

// scribble makes a Loop overwrite a message when its loan is over, so that a later
// use shows.
const scribble = true
