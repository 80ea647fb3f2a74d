// Package keepalive tests pings, pongs and the end of silent connections through the
// public API only.
package keepalive
