package scenario

import "errors"

// loadError is what is wrong with a scenario that could be read.
type loadError struct {
	problems []error
	file     *File
}

func (e *loadError) Error() string { return errors.Join(e.problems...).Error() }

// Unwrap returns the problems.
func (e *loadError) Unwrap() []error { return e.problems }

// Partial returns the cells of scenarios that were refused, as far as they can be told: for
// whoever looks at them for more that is wrong ([Cell.Warnings]), not to be run. The error
// is one of [Load] or [LoadAll].
func Partial(err error) []Cell {
	var e *loadError
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e) && error(e) == err: //nolint:errorlint // itself, not one of several
		return e.file.partial()
	case errors.As(err, &joined):
		var out []Cell
		for _, sub := range joined.Unwrap() {
			out = append(out, Partial(sub)...)
		}
		return out
	}
	return nil
}

// partial returns a cell for each combination whose manifests could be put together; the
// one that the file says without its axes if these are in doubt.
func (f *File) partial() []Cell {
	dims := f.dimensions()
	if f.base == nil || f.doc.brokenBelow("axes") || count(dims) > maxCombinations {
		dims = nil
	}
	var out []Cell
	for _, c := range f.combinations(dims) {
		spec, _ := f.assemble(c)
		values := valuesOf(dims, c, spec)
		b, _ := f.evaluate(spec)
		if len(b.objects) > 0 && f.wanted(values) {
			f.finish(spec, nil)
			out = append(out, f.cell(dims, values, spec, b))
		}
	}
	return out
}
