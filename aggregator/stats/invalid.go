package stats

import "fmt"

// InvalidError says which parameter can't be understood and what is allowed.
// Its text is meant for whoever asked.
type InvalidError struct {
	Field   string
	Message string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Message: fmt.Sprintf(format, args...)}
}
