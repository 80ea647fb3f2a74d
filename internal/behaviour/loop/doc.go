// Package loop tests Loop through the public API only: handlers that block or fail,
// the way into a loop, and everything at random.
package loop
