// Package web holds what browsers get: client.js and the pages of the demo. It is data
// with an embed directive; it decides nothing and serves nothing.
package web

import "embed"

// ClientJS is the source of client.js. The text /*SITE*/null is replaced by the
// site's table: its connections, and of each operation the method, the path and
// where its parameters travel.
//
//go:embed client/client.js
var ClientJS string

// Demo holds the pages of the sample shop.
//
//go:embed all:demo
var Demo embed.FS
