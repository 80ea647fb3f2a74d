// Package rig runs the processes of a measurement, a server and a load generator, on
// the CPUs that are chosen for each.
//
// Linux only.
package rig
