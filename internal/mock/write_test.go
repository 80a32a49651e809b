package mock

import (
	"testing"

	"sallyport/internal/contract"
)

// TestWrite: members stand in the order of the schema and its parts, others behind them by name.
func TestWrite(t *testing.T) {
	t.Parallel()
	inner := &contract.Schema{Order: []string{"z", "a"}, Properties: map[string]*contract.Schema{"z": {}, "a": {}}}
	s := &contract.Schema{
		Order: []string{"id", "list"}, Properties: map[string]*contract.Schema{"id": {}, "list": {Items: &contract.Schema{AnyOf: []*contract.Schema{{}, inner}}}},
		AllOf: []*contract.Schema{{Order: []string{"last"}, Properties: map[string]*contract.Schema{"last": inner}}},
	}
	s.AllOf[0].AllOf = []*contract.Schema{s} // in a circle
	got, err := write(map[string]any{"y": true, "b": nil, "last": map[string]any{"a": 1, "z": 2}, "id": "<", "list": []any{map[string]any{"a": "1", "z": 2.5}, "x"}}, s)
	want := `{"id":"\u003c","list":[{"z":2.5,"a":"1"},"x"],"last":{"z":2,"a":1},"b":null,"y":true}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	if _, err := write(map[string]any{"id": make(chan int)}, s); err == nil {
		t.Error("a value that JSON does not have was written")
	}
}
