// Package hub sends messages to very many connections: to all that have
// subscribed to a topic, in this process and in others.
package hub
