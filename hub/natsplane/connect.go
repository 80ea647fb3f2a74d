package natsplane

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// Connect connects to the broker at url, or to one of several, separated by
// commas, with settings for a backplane:
//
//   - A broker that is not there is waited for: now, and whenever it goes away,
//     for ever, and also if it says that we are not authorized. It is tried
//     again after 100 ms, and then ever more rarely, down to every 5 s. So the
//     connection need not be established yet when Connect returns. What fails
//     is logged by [slog.Default] when it is something new.
//   - Until then up to 4 MiB of messages are kept.
//   - One that says nothing any more is noticed after 30 s. If it does not take
//     what is sent it holds up a Publish for at most 5 s.
//   - It does not send back what is published here.
//
// The options may add to these settings or override them. The error is about
// url or the options. The caller owns the connection.
func Connect(url string, opts ...nats.Option) (*nats.Conn, error) {
	var last string
	defaults := []nats.Option{
		nats.Name("websocket hub"),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(delay),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil && err.Error() != last {
				last = err.Error()
				slog.Warn("natsplane: cannot connect to the broker", "error", err)
			}
		}),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // the default one prints
		nats.ReconnectBufSize(4 << 20),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(5 * time.Second),
		nats.ReconnectOnFlusherError(),
		nats.NoEcho(),
	}
	return nats.Connect(url, append(defaults, opts...)...)
}

// delay returns how long to wait before all brokers are tried once more, which
// has been done tries times. The random part keeps the hubs of a broker that
// was restarted from coming back all in the same moment.
func delay(tries int) time.Duration {
	d := min(100*time.Millisecond<<min(max(tries, 1)-1, 10), 5*time.Second)
	return d/2 + rand.N(d/2)
}
