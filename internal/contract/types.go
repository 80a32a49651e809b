package contract

import "encoding/json"

// typeSet is a set of JSON types.
type typeSet uint8

const (
	isNull typeSet = 1 << iota
	isBool
	isInteger
	isNumber
	isString
	isArray
	isObject
)

var typeBits = map[string]typeSet{"null": isNull, "boolean": isBool, "integer": isInteger, "number": isNumber | isInteger,
	"string": isString, "array": isArray, "object": isObject}

// typeOf is the type of a tree's value. Numbers are isNumber, and isInteger too where
// their value is whole.
func typeOf(v any) typeSet {
	switch v := v.(type) {
	case nil:
		return isNull
	case bool:
		return isBool
	case string:
		return isString
	case json.Number:
		if numberShape(string(v)) == plainInteger || exact(string(v)).IsInt() {
			return isInteger
		}
		return isNumber
	case []any:
		return isArray
	}
	return isObject
}
