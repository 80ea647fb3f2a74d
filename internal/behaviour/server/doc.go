// Package server tests Accept, Server and Loop.Serve through the public API only:
// what they answer to a request, and how they end.
package server
