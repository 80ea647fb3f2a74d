// Package rig runs the processes of a measurement: a server and a load generator, each
// on a CPU of its own.
//
// Linux only.
package rig
