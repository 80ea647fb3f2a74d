// Package behaviour tests how connections end, through the public API only.
//
// Each test runs over a table of engines (Server.Handler, Accept, Loop.Serve,
// Server with Events, Dial) and transports (TCP, TLS, Unix sockets). The other
// side is a peer that speaks RFC 6455 by hand over a bare connection, with a
// codec of its own, and records every frame it receives. Tests with the library
// on both sides run over Pipe, too.
//
// Environment variables: BEHAVIOUR_FULL=1 repeats each case ten times as often,
// BEHAVIOUR_PATIENCE is how many seconds a test waits for what must happen,
// BEHAVIOUR_SECONDS is how long the test of random calls runs, and
// BEHAVIOUR_SEED is the seed of that test.
package behaviour
