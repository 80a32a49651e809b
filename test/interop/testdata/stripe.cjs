// The official Node SDK, set up as its documentation says for another host.
const assert = require("node:assert");
const Stripe = require("stripe");

(async () => {
  const { GATE_HOST: host, GATE_PORT: port, SITE_KEY: key } = process.env;
  const stripe = new Stripe(key, { host, port, protocol: "http", maxNetworkRetries: 0, telemetry: false });

  const customer = await stripe.customers.create({ email: "ada@example.com", name: "Ada" });
  assert.match(customer.id, /^cus_/);
  const intent = await stripe.paymentIntents.create({
    amount: 1900, currency: "eur", automatic_payment_methods: { enabled: true }, metadata: { order: "42" } });
  assert.equal(intent.object, "payment_intent");
  assert.ok(intent.id && intent.client_secret && intent.lastResponse.requestId !== undefined);
  const got = await stripe.paymentIntents.retrieve(intent.id);
  assert.equal(got.object, "payment_intent");
  await stripe.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa", return_url: "https://shop.example/thanks" });
  const list = await stripe.paymentIntents.list({ limit: 3 });
  assert.ok(list.data.length > 0);
  const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 500 });
  assert.match(refund.id, /^re_/);
  await assert.rejects(stripe.paymentIntents.create({ amount: 1900, currency: "eur", role: "admin" }), (err) => err.statusCode === 422 && err.message.includes("role"));

  // The gate's public address in place of the connection's own: an error, never a payment without an id.
  const [publicHost, publicPort] = process.env.GATE_PUBLIC.split(":");
  const astray = new Stripe(key, { host: publicHost, port: publicPort, protocol: "http", maxNetworkRetries: 0, telemetry: false });
  await assert.rejects(astray.paymentIntents.create({ amount: 1900, currency: "eur" }), (err) => err.statusCode === 404);
})().catch((err) => { console.error(err); process.exit(1); });
