package beacon

import (
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// panicInterval keeps a panic that comes with each message out of the log; the
// outcome `internal` counts them all.
const panicInterval = time.Minute

// reportPanic logs a panic of our own code. Its value is left out: it may quote
// the message.
func (in *Intake) reportPanic(v any) {
	now := time.Now().UnixNano()
	last := in.lastPanic.Load()
	if last != 0 && now-last < int64(panicInterval) || !in.lastPanic.CompareAndSwap(last, now) {
		return
	}
	in.log.Error("a message upset its intake; its sender is told to come back", zap.String("type", fmt.Sprintf("%T", v)), zap.Stack("stack"))
}

// HidePanics logs a panic of a handler by where it was. The server itself would
// log what it says, which may quote the request, and the client's address. The
// client loses its connection, as it would then.
func HidePanics(next http.Handler, log *zap.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v != http.ErrAbortHandler {
				log.Error("a request upset its handler; its connection is closed", zap.String("type", fmt.Sprintf("%T", v)), zap.Stack("stack"))
			}
			panic(http.ErrAbortHandler) // of which the server says nothing
		}()
		next.ServeHTTP(w, r)
	})
}
