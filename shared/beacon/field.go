package beacon

import (
	"fmt"
	"strings"
)

// FieldError says which field of a message can't be taken, and why, in words
// for the person who sent it.
type FieldError struct {
	Field  string // such as payload.website; "" = the message as a whole
	Reason string
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

func fieldError(field, format string, args ...any) *FieldError {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// textField reads a string; null counts as absent.
func textField(field string, v value, to *string) *FieldError {
	switch v.kind() {
	case '"':
		*to = v.text()
	case 'n':
		*to = ""
	default:
		return fieldError(field, "must be a string")
	}
	return nil
}

// looseText reads a string, or a number or boolean as its text, as people write
// ids and values; null counts as absent.
func looseText(field string, v value, to *string) *FieldError {
	switch v.kind() {
	case '{', '[':
		return fieldError(field, "must be a string")
	case 'n':
		*to = ""
	default:
		*to = v.text()
	}
	return nil
}

// validUUID reports whether s has the form of a UUID, of any version.
func validUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// siteText is the name of a site as a message gives it, in lower case, or an
// error where nothing could have that name.
func siteText(field, name string) (string, *FieldError) {
	name = strings.ToLower(strings.TrimSpace(name))
	if len(name) > 256 {
		return "", fieldError(field, "must have at most 256 characters")
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] == 0x7f {
			return "", fieldError(field, "must be a domain, a UUID or an id")
		}
	}
	return name, nil
}
