// What a page of the documented example may not write, each with the compiler's code.
import { call, operations, Problem, publicValues, type Params, type Result } from "https://api.shop.example/client.js";
import { calls } from "https://api.shop.example/client.js"; // TS2724
import { call as elsewhere } from "https://api.other.example/client.js"; // TS2307

await call("paymnts", "create-payment-intent", { amount: 500 }); // TS2345
await call("payments", "create-refund", { amount: 500 }); // TS2345
await call("payments", "autocomplete-places", { input: "x" }); // TS2345
await call("payments"); // TS2555
await call("payments", "create-payment-intent"); // TS2554
await call("payments", "create-payment-intent", {}); // TS2741
await call("payments", "create-payment-intent", { amount: "500" }); // TS2322
await call("payments", "create-payment-intent", { amount: null }); // TS2322
await call("payments", "create-payment-intent", { amount: 500, currency: "usd" }); // TS2353
await call("payments", "create-payment-intent", { amount: 500, automatic_payment_methods: { enabled: true } }); // TS2353
await call("payments", "create-payment-intent", { amount: 500, customer: "cus_1" }); // TS2353
await call("payments", "create-payment-intent", { amount: 500, receipt_mail: "a@b.example" }); // TS2561
await call("payments", "create-payment-intent", { amount: 500, statement_descriptor_suffix: "OTHER" }); // TS2322
await call("payments", "create-payment-intent", { amount: 500 }, { idempotencykey: "x" }); // TS2561
await call("payments", "create-payment-intent", { amount: 500 }, {}, "more"); // TS2554
await call("sms", "create-verification", { To: "+44", Channel: "call" }); // TS2353
await call("sms", "create-verification", { To: "+44", ServiceSid: "VA1" }); // TS2353

const paid = await call("payments", "create-payment-intent", { amount: 500 });
paid.latest_charge; // TS2339
paid.client_secret.length; // TS18049
const amount: number = paid.amount; // TS2322
const places = await call("maps", "autocomplete-places", { input: "x" });
places.suggestions[0]; // TS18048
places.suggestions?.[0]?.placePrediction?.place; // TS2551
call("payments", "create-payment-intent", { amount: 500 }).id; // TS2339

const params: Params<"payments", "refund"> = { amount: 5 }; // TS2344 TS2322
const result: Result<"maps", "create-verification"> = {}; // TS2344 TS2322
operations().payments.includes("create-refund"); // TS2345
publicValues("payments").secret_key; // TS2339
publicValues("maps").publishable_key; // TS2339
try { await call("maps", "autocomplete-places", { input: "x" }); } catch (err) {
  if (err instanceof Problem && err.code === "rate_limitd") throw err; // TS2367
  if (err instanceof Problem && err.outcome === "done") throw err; // TS2367
  if (err instanceof Problem) err.code = "internal"; // TS2540
}
export { calls, elsewhere, amount, params, result };
