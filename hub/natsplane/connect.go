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
//   - The connection waits for a broker that is away: now, and whenever the
//     broker goes away, for ever, and also if the broker says that we are not
//     authorized. It tries again after 100 ms, and then ever more rarely, down
//     to every 5 s. So the connection need not be established yet when Connect
//     returns. A failure that differs from the last one is logged by
//     [slog.Default].
//   - Until then up to 4 MiB of messages are kept.
//   - A broker that has become silent is noticed after 30 s. A broker that does
//     not read holds up a Publish for at most 5 s.
//   - The broker does not send back the messages that are published here.
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

// delay returns how long to wait before all brokers are tried once more, after
// tries rounds. The random part keeps the hubs of a restarted broker from
// connecting all at once.
func delay(tries int) time.Duration {
	d := min(100*time.Millisecond<<min(max(tries, 1)-1, 10), 5*time.Second)
	return d/2 + rand.N(d/2)
}
