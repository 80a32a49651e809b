import { call, Problem, type Params } from "http://127.0.0.1:8443/harbour/client.js";

const done: string[] = [];
const order: Params<"payments", "create-payment-intent"> = { amount: 4800 };
const paid = await call("payments", "create-payment-intent", order);
if (paid.id.startsWith("pi_") && paid.status === "succeeded" && paid.amount === 4800) done.push("paid");

try {
  await call("payments", "create-payment-intent", { amount: 1 as 4800 });
} catch (err) {
  if (err instanceof Problem && err.code === "parameter_refused" && err.faults[0]?.where === "amount") done.push("refused");
}
const places = await call("maps", "geocode", { address: "Harbour 1" });
if (typeof places.results?.[0]?.geometry?.location?.lat === "number") done.push("found");
const slides = await call("poll", "list-slides");
if (slides.some((slide) => slide.answers?.some((answer) => answer.title !== ""))) done.push("polled");
console.log(done.join(", "));
