package scheme

import "slices"

// Preset is the description of a well-known scheme, for providers that the catalog has no pack of.
func Preset(name string) (Config, bool) {
	c, ok := presets()[name]
	return c, ok
}

// Presets are the names of the well-known schemes, sorted.
func Presets() []string {
	var out []string
	for name := range presets() {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func presets() map[string]Config {
	return map[string]Config{
		// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries: no time; the delivery's id is not signed.
		"github": {Kind: "hmac", Params: map[string]string{"header": "X-Hub-Signature-256", "prefix": "sha256=", "type": "/action", "object": "/repository/full_name"}},
		// https://api.slack.com/authentication/verifying-requests-from-slack
		"slack": {Kind: "hmac", Params: map[string]string{"header": "X-Slack-Signature", "prefix": "v0=", "text": "v0:{time}:{body}", "time_header": "X-Slack-Request-Timestamp",
			"handshake": handshakeSlack, "id": "/event_id", "type": "/event/type /type"}},
		// shopify-api-js 13.1.0: the newer header counts where both are there.
		"shopify": {Kind: "hmac", Params: map[string]string{"header": "X-Shopify-Hmac-Sha256", "header_first": "Shopify-Hmac-Sha256", "encoding": "base64", "object": "/id"}},
		// https://github.com/standard-webhooks/standard-webhooks at b2fa7b8
		"standard": {Kind: "standard", Params: map[string]string{"type": "/type", "object": "/data/id"}},
		"svix":     {Kind: "standard", Params: map[string]string{"header_prefix": "svix-", "type": "/type", "object": "/data/id"}},
		// https://discord.com/developers/docs/events/webhook-events
		"discord": {Kind: "ed25519", Params: map[string]string{"header": "X-Signature-Ed25519", "time_header": "X-Signature-Timestamp", "type": "/event/type"}},
	}
}
