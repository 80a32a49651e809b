package config

// sdkKey is listen.sdk: an address, or an address with the networks that may use it.
func sdkKey() *key {
	const wanted = `an address such as "127.0.0.1:8445", or {address: "10.0.0.5:8445", from: [10.0.0.0/24]}`
	return &key{name: "sdk", kind: kindObject, def: "none", want: wanted, example: `"127.0.0.1:8445"`,
		doc: "A CONNECT proxy for official SDKs that take no address of their own: the SDK keeps its `https://api.…` URLs, and the gate answers for the hosts of the file's connections with certificates of its own authority (`sallyport ca show`). " +
			"Backends only. Nothing is forwarded and nothing else is answered. On loopback an address is enough.",
		or: &key{kind: kindText, want: wanted, parsed: true},
		keys: []*key{
			{name: "address", kind: kindText, required: true, want: `an address such as "10.0.0.5:8445"`, example: `"10.0.0.5:8445"`, doc: "Where to listen."},
			{name: "from", kind: kindList, single: true, def: "this machine", want: "a list of networks such as [10.0.0.0/24]", example: "[10.0.0.0/24]",
				doc:  "Networks of the backends that may connect. Needed as soon as the address can be reached from other machines, and logged at every start.",
				item: &key{kind: kindText, example: "10.0.0.0/24", want: "a network such as 10.0.0.0/24"}},
		}}
}
