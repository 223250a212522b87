package proxy

import (
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/parser/catalog"
)

func TestTroubleOf(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]trouble{
		"": passing, "57P03": passing, "53300": passing, "3D000": gone, "28000": lasting, "42501": lasting,
		"XX000": overtaken, "42P01": overtaken, "55000": lasting, "55P03": locked, "40P01": locked,
	} {
		err := error(&pgconn.PgError{Code: code})
		if code == "" {
			err = io.ErrUnexpectedEOF
		}
		if got := troubleOf(fmt.Errorf("read catalog: %w", err)); got != want {
			t.Errorf("%q: got %d, want %d", code, got, want)
		}
	}
	if got := troubleOf(fmt.Errorf("read catalog: %w", catalog.ErrTooLarge)); got != tooLarge {
		t.Errorf("of too much: %d", got)
	}
}
