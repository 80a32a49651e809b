package contract

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
