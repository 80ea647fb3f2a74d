// Package netconn tests Conn.NetConn through the public API only.
package netconn
