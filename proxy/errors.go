package proxy

import (
	"errors"

	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// clientErrorOf turns any error into what the client is told.
func clientErrorOf(err error) *wire.Error {
	var refused *pool.Refused
	if errors.As(err, &refused) {
		return refused.ClientError()
	}
	var unreachable *pool.Unreachable
	if errors.As(err, &unreachable) {
		return &wire.Error{Code: "08001", Message: unreachable.Error(), Hint: "The operator sees the state of the backends in howdah's log."}
	}
	return wire.AsError(err)
}

// isClientsMistake reports whether an error made here says that the client asked for
// something wrong, which concerns nobody else.
func isClientsMistake(code string) bool {
	switch code {
	case "22023", "42704", "42P05", "0A000", "25P02":
		return true
	}
	return false
}
