// The official Node SDKs with their own addresses: only the agent differs, as docs/guide/sdk-proxy.md says.
const assert = require("node:assert");
const fs = require("node:fs");
const { HttpsProxyAgent } = require("https-proxy-agent");

const { PROXY: proxy, CA: ca } = process.env;
const agent = () => new HttpsProxyAgent(proxy, { ca: fs.readFileSync(ca), keepAlive: true });

async function stripe(key) {
  const Stripe = require("stripe");
  const client = new Stripe(key, { httpAgent: agent() });
  const made = await client.customers.create({ email: "ada@example.com" });
  assert.match(made.id, /^cus_/);
  const read = await client.customers.retrieve(made.id);
  assert.equal(read.email, "ada@example.com");
  await assert.rejects(new Stripe("sk_test_" + "0".repeat(32), { httpAgent: agent(), maxNetworkRetries: 0 }).customers.retrieve(made.id), { statusCode: 401 });
}

async function twilio(sid, token) {
  const twilio = require("twilio");
  const client = twilio(sid, token, { httpClient: new twilio.RequestClient() });
  client.httpClient.axios.defaults.httpsAgent = agent();
  const made = await client.messages.create({ from: "+15005550006", to: "+447700900000", body: "Your order is ready" });
  assert.match(made.sid, /^(SM|MM)/);
  const read = await client.messages(made.sid).fetch();
  assert.equal(read.body, "Your order is ready");
  const check = await client.verify.v2.services("VA" + "0".repeat(32)).verifications.create({ to: "+447700900000", channel: "sms" });
  assert.ok(check.sid);
}

async function paypal(id, secret) {
  const { Client, Environment, OrdersController, CheckoutPaymentIntent } = require("@paypal/paypal-server-sdk");
  const client = new Client({
    clientCredentialsAuthCredentials: { oAuthClientId: id, oAuthClientSecret: secret },
    environment: Environment.Sandbox,
    httpClientOptions: { httpsAgent: agent() },
  });
  await orders(new OrdersController(client), CheckoutPaymentIntent);
  // With the SDK's own proxy option the certificate comes by NODE_EXTRA_CA_CERTS.
  const at = new URL(proxy);
  const other = new Client({
    clientCredentialsAuthCredentials: { oAuthClientId: id, oAuthClientSecret: secret },
    environment: Environment.Sandbox,
    httpClientOptions: { proxySettings: { address: `http://${at.hostname}`, port: Number(at.port) } },
  });
  await orders(new OrdersController(other), CheckoutPaymentIntent);
}

async function orders(controller, intent) {
  const made = await controller.createOrder({
    body: { intent: intent.Capture, purchaseUnits: [{ amount: { currencyCode: "EUR", value: "19.00" } }] },
    prefer: "return=representation",
  });
  assert.ok(made.result.id);
  const read = await controller.getOrder({ id: made.result.id });
  assert.equal(read.result.id, made.result.id);
}

(async () => {
  const { SDK: sdk, SITE_KEY: key, SITE_USER: user } = process.env;
  await { stripe: () => stripe(key), twilio: () => twilio(user, key), paypal: () => paypal(user, key) }[sdk]();
})().catch((err) => { console.error(err.message, err.statusCode ?? err.status, err.body ?? "", err); process.exit(1); });
