//go:build !linux

package queue

import "os"

// preallocate writes zeros: the one way to have blocks set aside that works
// everywhere. Only parts that were never written are touched by its callers.
func preallocate(f *os.File, size int64) error {
	var zero [64 << 10]byte
	for off := int64(0); off < size; off += int64(len(zero)) {
		n := min(int64(len(zero)), size-off)
		if _, err := f.WriteAt(zero[:n], off); err != nil {
			return err
		}
	}
	return nil
}

// probeReserve knows of no way to ask; what preallocate has written stays
// allocated on file systems that write in place.
func probeReserve(string) (string, error) { return "", nil }
