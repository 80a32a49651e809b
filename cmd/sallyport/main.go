// Command sallyport stands between client websites and the third-party APIs they use.
package main

func main() {}
