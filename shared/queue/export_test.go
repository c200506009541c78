package queue

import "os"

// What tests of the queue with others around it need of its own tests.
var (
	Roles      = roles
	As         = as
	RetryPause = &retryPause
)

// WithFsync returns cfg with another way to make records durable.
func WithFsync(cfg Config, fsync func(*os.File) error) Config {
	cfg.fsync = fsync
	return cfg
}
