package configs

import (
	"fmt"
	"reflect"
	"strings"
)

// Changes names the keys that differ between two configurations: those that a
// reload applies, and those whose section or key is tagged as needing a restart.
// A backend is known by its name: backends[pg1].weight is a change of it, and
// backends[pg3] is a server that came or went.
//
// Only the configuration is compared. The files it points to may have changed
// although this finds nothing.
func Changes(old, new *Config) (reloadable, needRestart []string) {
	d := &differ{}
	d.compare(reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), "", false)
	return d.reloadable, d.needRestart
}

type differ struct {
	reloadable, needRestart []string
}

// compare reports where two values of one key differ; restart is whether a
// section above is tagged so.
func (d *differ) compare(old, new reflect.Value, key string, restart bool) {
	if backends, ok := old.Interface().([]Backend); ok {
		d.compareBackends(backends, new.Interface().([]Backend), key, restart)
		return
	}
	if old.Kind() == reflect.Struct {
		for i := range old.NumField() {
			tag := old.Type().Field(i).Tag
			d.compare(old.Field(i), new.Field(i), joinKey(key, tag.Get("yaml")), restart || tag.Get("reload") == "no")
		}
		return
	}
	if !sameValue(old, new) {
		d.add(key, restart)
	}
}

func (d *differ) compareBackends(old, new []Backend, key string, restart bool) {
	path := func(b Backend) string { return fmt.Sprintf("%s[%s]", key, b.Name) }
	before := map[string]Backend{}
	for _, b := range old {
		before[b.Name] = b
	}
	var kept []string
	for _, b := range new {
		was, ok := before[b.Name]
		if !ok {
			d.add(path(b), restart)
			continue
		}
		delete(before, b.Name)
		kept = append(kept, b.Name)
		d.compare(reflect.ValueOf(was), reflect.ValueOf(b), path(b), restart)
	}
	var keptBefore []string
	for _, b := range old {
		if _, gone := before[b.Name]; gone {
			d.add(path(b), restart)
		} else {
			keptBefore = append(keptBefore, b.Name)
		}
	}
	if strings.Join(kept, " ") != strings.Join(keptBefore, " ") {
		d.add(key, restart) // their order
	}
}

func (d *differ) add(key string, restart bool) {
	if restart {
		d.needRestart = append(d.needRestart, key)
	} else {
		d.reloadable = append(d.reloadable, key)
	}
}

// sameValue compares two values of one key; no list and an empty one are the same.
func sameValue(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
