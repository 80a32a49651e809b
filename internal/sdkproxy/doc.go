// Package sdkproxy is what the CONNECT port for official SDKs rests on: which provider's host
// name leads to which connections, and the local certificate authority whose leaves let an
// SDK keep its own https://api.… address.
//
// It guarantees that the authority is good for the host names of the file's connections and
// for nothing else (critical name constraints: no other name, no name below one of these, no
// address), that nothing below it can be an authority, that its key is on disk only sealed,
// and that a leaf is made for one exact name of that list, lives a day and is never written.
//
// It does not listen, speak HTTP, tunnel or dial: the public listener's own accept loop,
// framing filter and handler (package ingress) do the talking, and nothing that comes through
// the port is sent anywhere but into the pipeline.
package sdkproxy
