// What a page of the documented example may write.
import { call, end, operations, Problem, publicValues, type Connection, type Fault, type Params, type ProblemCode, type Result } from "https://api.shop.example/client.js";
import * as onItsPort from "https://api.shop.example:8443/client.js";
import type { PaymentsCreatePaymentIntentParams } from "sallyport/shop";

const order: Params<"payments", "create-payment-intent"> = { amount: 500 };
const same: PaymentsCreatePaymentIntentParams = order;
const paid = await call("payments", "create-payment-intent", same);
const id: string = paid.id;
const secret: string | null | undefined = paid.client_secret;
await call("payments", "create-payment-intent", { amount: 500, receipt_email: "a@b.example", statement_descriptor_suffix: "SHOP" }, { signal: AbortSignal.timeout(9), idempotencyKey: id });
const choices = ["SHOP", "GIFTS"] as const;
for (const statement_descriptor_suffix of choices) await call("payments", "create-payment-intent", { amount: 1, statement_descriptor_suffix });
const places = await onItsPort.call("maps", "autocomplete-places", { input: "x" });
const names: (string | undefined)[] | undefined = places.suggestions?.map((s) => s.placePrediction?.text?.text);
const code: Result<"sms", "create-verification"> = await call("sms", "create-verification", { To: "+44" });

const all: Connection[] = ["maps", "payments", "sms"];
const first: "create-payment-intent" | undefined = operations().payments[0];
const key: string = publicValues("payments").publishable_key;

try {
  await end();
} catch (err) {
  if (!(err instanceof Problem)) throw err;
  const say = (problem: ProblemCode, faults: readonly Fault[]) => problem + faults.map((f) => f.where + (f.near ?? "")).join();
  switch (err.code) {
    case "rate_limited": setTimeout(() => {}, err.retryAfter * 1000); break;
    case "unreachable": if (err.outcome === "unknown") say(err.code, err.faults); break;
    default: err.message + err.hint + err.requestId + err.status + err.providerCode + err.idempotencyKey;
  }
}

// A page that learns the gate's address when it runs.
const address: string = document.body.dataset.gate ?? "";
const client = await import(address) as typeof import("sallyport/shop");
const again: string = (await client.call("payments", "create-payment-intent", order)).id;
export { names, code, all, first, key, again, secret };

// A function over all operations keeps their types.
export async function retry<C extends Connection, O extends keyof import("sallyport/shop").Connections[C]>(connection: C, operation: O, ...rest: Parameters<typeof call<C, O>> extends [unknown, unknown, ...infer R] ? R : never): Promise<Result<C, O>> {
  return (call as (c: C, o: O, ...r: unknown[]) => Promise<Result<C, O>>)(connection, operation, ...rest);
}
