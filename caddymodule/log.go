package caddymodule

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// liveCore writes to whatever log Caddy has configured at the moment. What
// outlives a configuration must not hold on to the log of an earlier one, whose
// files are closed.
type liveCore struct {
	name   string
	fields []zapcore.Field
}

// liveLogger is a logger for the life of the process.
func liveLogger(name string) *zap.Logger { return zap.New(liveCore{name: name}) }

// Enabled implements zapcore.Core.
func (liveCore) Enabled(level zapcore.Level) bool { return caddy.Log().Core().Enabled(level) }

// With implements zapcore.Core.
func (c liveCore) With(fields []zapcore.Field) zapcore.Core {
	c.fields = append(c.fields[:len(c.fields):len(c.fields)], fields...)
	return c
}

// Check implements zapcore.Core.
func (c liveCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c liveCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	logger := caddy.Log().Named(c.name)
	if e.LoggerName != "" {
		logger = logger.Named(e.LoggerName)
	}
	if ce := logger.Check(e.Level, e.Message); ce != nil {
		ce.Time = e.Time
		ce.Write(append(c.fields[:len(c.fields):len(c.fields)], fields...)...)
	}
	return nil
}

// Sync implements zapcore.Core.
func (liveCore) Sync() error { return caddy.Log().Core().Sync() }

// panicInterval keeps a panic that comes with each request out of the log; the
// metric `internal` counts them all.
const panicInterval = time.Minute

// reportPanic logs a panic of our own code. Its value is left out: it may
// quote the request.
func (rt *runtime) reportPanic(where string, v any) {
	now := time.Now().UnixNano()
	last := rt.lastPanic.Load()
	if last != 0 && now-last < int64(panicInterval) || !rt.lastPanic.CompareAndSwap(last, now) {
		return
	}
	rt.log.Error("a panic was caught; requests are served, some may not be recorded",
		zap.String("where", where), zap.String("type", fmt.Sprintf("%T", v)), zap.ByteString("stack", debug.Stack()))
}
