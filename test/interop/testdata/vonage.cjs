// The official Node SDK; restHost and apiHost are its own options.
const assert = require("node:assert");
const { Vonage } = require("@vonage/server-sdk");
const { Auth } = require("@vonage/auth");

(async () => {
  const { GATE: gate, API_KEY: apiKey, API_SECRET: apiSecret } = process.env;
  const vonage = new Vonage(new Auth({ apiKey, apiSecret }), { restHost: gate, apiHost: gate });
  const sent = await vonage.sms.send({ to: "447700900000", from: "Shop", text: "Your order is ready" });
  assert.ok(sent.messages.length > 0 && sent.messages[0]["message-id"] || sent.messages[0].messageId);
  const started = await vonage.verify.start({ number: "447700900000", brand: "Shop" });
  const id = started.request_id ?? started.requestId;
  assert.ok(id);
  const checked = await vonage.verify.check(id, "1234");
  assert.ok(checked);
})().catch((err) => { console.error(err.message, err.response?.status, err); process.exit(1); });
