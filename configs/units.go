package configs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ByteSize is a number of bytes, written in the file as 1048576, 64kB, 1MB or 2GB
// (multiples of 1024, as in postgresql.conf).
type ByteSize int64

// FileMode is a set of permission bits, written in the file in octal (0770).
type FileMode uint32

// unit is a suffix and what one of it is worth.
type unit struct {
	suffix string
	worth  int64
}

// The tables run from the largest unit to the smallest, so that formatting takes
// the first that divides.
var (
	durationUnits = []unit{
		{"d", int64(24 * time.Hour)}, {"h", int64(time.Hour)}, {"min", int64(time.Minute)}, {"s", int64(time.Second)},
		{"ms", int64(time.Millisecond)}, {"us", int64(time.Microsecond)}, {"ns", int64(time.Nanosecond)},
	}
	byteUnits = []unit{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}}
)

const (
	durationAdvice = "write a number and a unit: ms, s, min, h or d, as in 500ms or 1min"
	byteAdvice     = "write a number of bytes, or a number and a unit: B, kB, MB, GB or TB, as in 64MB"
	octalAdvice    = "write octal digits, as in 0770"
)

// valueError is why a text is not a value of its key's type: "<the text> <what>; <advice>".
type valueError struct {
	what   string
	advice string
}

func (e *valueError) Error() string { return e.what + "; " + e.advice }

// parseDuration reads a duration with PostgreSQL's units (manual, section
// 20.1.1) or Go's (1m30s). A bare number is refused, because PostgreSQL and
// Pgpool-II give it a different unit from setting to setting; 0 needs none.
func parseDuration(text string) (time.Duration, error) {
	number, suffix := splitUnit(text)
	if suffix == "" {
		if f, err := strconv.ParseFloat(number, 64); err == nil {
			if f == 0 {
				return 0, nil
			}
			return 0, &valueError{"has no unit", fmt.Sprintf("write %ss for seconds or %sms for milliseconds", number, number)}
		}
		return 0, &valueError{"is not a duration", durationAdvice}
	}
	for _, u := range durationUnits {
		if suffix == u.suffix {
			n, err := scale(number, u.worth)
			return time.Duration(n), withAdvice(err, "is not a duration", durationAdvice)
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, &valueError{"is not a duration", durationAdvice}
	}
	return d, nil
}

// parseByteSize reads a size as postgresql.conf has them; the units are case
// sensitive there too, because mB or Kb would be guesses.
func parseByteSize(text string) (ByteSize, error) {
	number, suffix := splitUnit(text)
	if suffix == "" {
		suffix = "B"
	}
	for _, u := range byteUnits {
		if suffix == u.suffix {
			n, err := scale(number, u.worth)
			return ByteSize(n), withAdvice(err, "is not a size", byteAdvice)
		}
	}
	for _, u := range byteUnits {
		if strings.EqualFold(suffix, u.suffix) || strings.EqualFold(suffix+"B", u.suffix) {
			return 0, &valueError{"has an unknown unit", fmt.Sprintf("write %s%s", number, u.suffix)}
		}
	}
	return 0, &valueError{"is not a size", byteAdvice}
}

// parseFileMode reads octal digits, whether or not a 0 or 0o leads them: 770 is
// not taken as decimal, which nobody means.
func parseFileMode(text string) (FileMode, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "0o"), "0O")
	n, err := strconv.ParseUint(digits, 8, 32)
	if err != nil {
		return 0, &valueError{"is not a file mode", octalAdvice}
	}
	return FileMode(n), nil
}

// parseSwitch reads a boolean as postgresql.conf writes it most, or as YAML does.
func parseSwitch(text string) (bool, error) {
	switch text {
	case "on", "true", "yes":
		return true, nil
	case "off", "false", "no":
		return false, nil
	}
	return false, &valueError{"is neither on nor off", "write on or off"}
}

// splitUnit cuts "10 min" into "10" and "min".
func splitUnit(text string) (number, suffix string) {
	text = strings.TrimSpace(text)
	end := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("+-.0123456789", r) })
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimSpace(text[end:])
}

// scale is number times worth, exact for whole numbers, and refuses what does
// not fit an int64.
func scale(number string, worth int64) (int64, error) {
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > math.MaxInt64/worth || n < math.MinInt64/worth {
			return 0, &valueError{"is too large", "write a smaller number"}
		}
		return n * worth, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, err
	}
	f *= float64(worth)
	// The float nearest to MaxInt64 is above it, hence >=.
	if f >= math.MaxInt64 || f <= math.MinInt64 {
		return 0, &valueError{"is too large", "write a smaller number"}
	}
	return int64(math.Round(f)), nil
}

// withAdvice keeps a valueError and turns any other error into one.
func withAdvice(err error, what, advice string) error {
	if _, ok := err.(*valueError); ok || err == nil {
		return err
	}
	return &valueError{what, advice}
}

// String writes the size with the largest unit that divides it: 64MB.
func (b ByteSize) String() string { return formatUnit(int64(b), byteUnits) }

// String writes the mode in octal with a leading 0: 0770.
func (m FileMode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// formatDuration writes a duration with the largest unit that divides it: 90s.
func formatDuration(d time.Duration) string { return formatUnit(int64(d), durationUnits) }

func formatUnit(n int64, units []unit) string {
	if n == 0 {
		return "0"
	}
	for _, u := range units {
		if n%u.worth == 0 {
			return strconv.FormatInt(n/u.worth, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}
