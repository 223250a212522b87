package configs

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
	}{
		{"0", 0}, {"0s", 0}, {"0.0", 0},
		{"10s", 10 * time.Second}, {"500ms", 500 * time.Millisecond}, {"250us", 250 * time.Microsecond},
		{"1min", time.Minute}, {"2 h", 2 * time.Hour}, {"7d", 7 * 24 * time.Hour}, {"1.5s", 1500 * time.Millisecond},
		{"-1s", -time.Second}, {"5m", 5 * time.Minute}, {"1h30m", 90 * time.Minute}, {"106751d", 106751 * 24 * time.Hour},
	}
	for _, tt := range tests {
		if got, err := parseDuration(tt.text); err != nil || got != tt.want {
			t.Errorf("%q: got %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"", "10", "-3", "s", "min", "1 Min", "10 S", "1x", "1h30", "NaNs", "Infs", "1e9s", "106752d", "9223372036854775807s", "9223372036854775808d", "99999999999999999999s"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestParseByteSize(t *testing.T) {
	tests := []struct {
		text string
		want ByteSize
	}{
		{"0", 0}, {"1048576", 1 << 20}, {"1B", 1}, {"64kB", 64 << 10}, {"1MB", 1 << 20}, {"2 GB", 2 << 30}, {"1TB", 1 << 40},
		{"0.5MB", 512 << 10}, {"-1", -1}, {"8388607TB", 8388607 << 40},
	}
	for _, tt := range tests {
		if got, err := parseByteSize(tt.text); err != nil || got != tt.want {
			t.Errorf("%q: got %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"", "kB", "64mb", "64KB", "64k", "1PB", "1 M B", "8388608TB", "9223372036854775808", "1e3"} {
		if got, err := parseByteSize(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestParseFileMode(t *testing.T) {
	for text, want := range map[string]FileMode{"0": 0, "0770": 0o770, "770": 0o770, "0o755": 0o755} {
		if got, err := parseFileMode(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0888", "-1", "rwx", "0x1ff", "0o", "77777777777777"} {
		if got, err := parseFileMode(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

// What is formatted must be read again as the same.
func TestUnitsRoundTrip(t *testing.T) {
	for _, d := range []time.Duration{0, 1, -1, 1500, time.Millisecond, 90 * time.Second, 36 * time.Hour, 1<<63 - 1, -1 << 63} {
		if got, err := parseDuration(formatDuration(d)); err != nil || got != d {
			t.Errorf("%d: got %d, %v, by %q", d, got, err, formatDuration(d))
		}
	}
	for _, b := range []ByteSize{0, 1, -1, 1000, 1024, 3 << 20, 5 << 40, 1<<63 - 1} {
		if got, err := parseByteSize(b.String()); err != nil || got != b {
			t.Errorf("%d: got %d, %v, by %q", b, got, err, b)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"addresses", "port", "unix_dirs", "unix_mode"}
	for word, want := range map[string]string{
		"prot": "port", "ports": "port", "adresses": "addresses", "address": "addresses", "unix_dir": "unix_dirs", "Port": "port",
		"": "", "x": "", "host": "", "listen": "", "unixsocketdirectories": "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
