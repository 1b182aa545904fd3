package scenario

import (
	"encoding/json"
	"testing"
)

func TestQuantity(t *testing.T) {
	tests := []struct {
		json string
		want int64
		bad  bool
	}{
		{json: `"500Gi"`, want: 500 << 30},
		{json: `"25G"`, want: 25_000_000_000},
		{json: `1024`, want: 1024},
		{json: `1.5`, want: 2},
		{json: `"100m"`, want: 1},
		{json: `""`, want: 0},
		{json: `"-1"`, bad: true},
		{json: `"5 pounds"`, bad: true},
		{json: `"500GB"`, bad: true},
	}
	for _, test := range tests {
		var q Quantity
		if err := json.Unmarshal([]byte(test.json), &q); err != nil {
			t.Errorf("%s: %v", test.json, err)
			continue
		}
		have, err := q.Bytes()
		if (err != nil) != test.bad || have != test.want {
			t.Errorf("%s: have %d, %v; want %d, error %t", test.json, have, err, test.want, test.bad)
		}
	}
}

func TestNormalizeAccessMode(t *testing.T) {
	for _, test := range []struct{ mode, want string }{
		{"RWO", "ReadWriteOnce"}, {"RWX", "ReadWriteMany"}, {"ROX", "ReadOnlyMany"},
		{"RWOP", "ReadWriteOncePod"}, {"ReadWriteOncePod", "ReadWriteOncePod"},
		{"rwo", ""}, {"", ""},
	} {
		have, err := NormalizeAccessMode(test.mode)
		if have != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q: have %q, %v", test.mode, have, err)
		}
	}
}
