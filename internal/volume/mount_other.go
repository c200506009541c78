//go:build !linux

package volume

import "errors"

var errNotHere = errors.New("it needs Linux")

func mountTmpfs(string, int64) error { return errNotHere }

func unmountNow(string) error { return errNotHere }

func detach(string) {}

func full(error) bool { return false }

// Shutdown is a loss of power, where there is a way to have one.
func Shutdown(string) error { return errNotHere }
