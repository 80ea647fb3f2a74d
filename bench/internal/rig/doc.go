// Package rig is what the programs of this module measure with: a server and a
// load generator, each a process on a CPU of its own.
//
// Linux only.
package rig
