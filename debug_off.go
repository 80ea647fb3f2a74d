//go:build !wsdebug

package websocket

const scribble = false

func overwrite([]byte) {}
