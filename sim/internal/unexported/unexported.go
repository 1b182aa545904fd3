// Package unexported reaches fields of upstream's structs that have no other way in.
package unexported

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Field returns a struct's field by name, to be read or set; v is a pointer to the
// struct, or an interface or pointer that holds one. An error says what is not as
// expected: upstream may have changed.
func Field[T any](v any, name string) (*T, error) {
	s := reflect.ValueOf(v)
	for s.Kind() == reflect.Pointer || s.Kind() == reflect.Interface {
		s = s.Elem()
	}
	if s.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%T is no pointer to a struct", v)
	}
	f := s.FieldByName(name)
	if !f.IsValid() {
		return nil, fmt.Errorf("%s has no field %s", s.Type(), name)
	}
	if want := reflect.TypeFor[T](); f.Type() != want {
		return nil, fmt.Errorf("field %s of %s is a %s, not a %s", name, s.Type(), f.Type(), want)
	}
	if !f.CanAddr() {
		return nil, fmt.Errorf("field %s of %s cannot be set", name, s.Type())
	}
	return (*T)(unsafe.Pointer(f.UnsafeAddr())), nil
}
