package auth

// sealed holds a value where nothing that prints by reflection can reach it.
// Methods such as String do not do: fmt cannot call them on private fields, and
// prints what it finds there, through a pointer too when the verb is wrong for
// it (%s, %d). A closure has nothing to print but its address.
type sealed[T any] struct{ get func() *T }

func seal[T any](v *T) sealed[T] { return sealed[T]{func() *T { return v }} }

// open returns nil for the zero value.
func (s sealed[T]) open() *T {
	if s.get == nil {
		return nil
	}
	return s.get()
}
