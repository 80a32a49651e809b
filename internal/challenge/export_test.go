package challenge

// Hash is the scheme's hash, for solving in tests.
var Hash = hash
