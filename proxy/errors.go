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
