package parser

import "sync/atomic"

// maxResolutions bounds what a verdict remembers: the environments that use it at
// the same time are mostly one or two.
const maxResolutions = 4

// resolutions are a verdict's resolved verdicts by the environment's id, the
// latest first. Ids are numbers, so that no Env, and no Knowledge in it, is
// kept alive by verdicts. Reading takes no lock and allocates nothing.
type resolutions struct {
	list atomic.Pointer[[]resolution]
}

type resolution struct {
	id      uint64
	verdict *Verdict
}

// find returns the verdict resolved for either id, nil if it is not known.
func (r *resolutions) find(id, shared uint64) *Verdict {
	if r == nil {
		return nil
	}
	list := r.list.Load()
	if list == nil {
		return nil
	}
	for i := range *list {
		if known := &(*list)[i]; known.id == id || known.id == shared {
			return known.verdict
		}
	}
	return nil
}

// add remembers a resolution. If two sessions add at once, one of them may have
// to resolve again.
func (r *resolutions) add(id uint64, v *Verdict) {
	if r == nil {
		return
	}
	list := []resolution{{id, v}}
	if old := r.list.Load(); old != nil {
		list = append(list, (*old)[:min(len(*old), maxResolutions-1)]...)
	}
	r.list.Store(&list)
}
