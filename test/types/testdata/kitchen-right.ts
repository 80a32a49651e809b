// Nested parameters, arrays, elements by their index, maps, alternatives and schemas in circles.
import { call, receiptOf, visit, type Params, type PantryCustomer, type PantryFilter } from "http://localhost:8443/kitchen/client.js";

const order: Params<"pantry", "change-order"> = {
  order: "o_1", address: { city: "x" }, delivery: { on: "2026-12-24" }, pay: { kind: "bank", iban: "DE1" },
  lines: [{ price: "p_1", quantity: 1 }, { price: "p_2", quantity: 2, gift: { words: "for you", card: true } }],
};
const filter: PantryFilter = { all: [{ is: "a" }, { all: [{ is: "b" }] }] };
const changed = await call("pantry", "change-order", { ...order, filter, tags: ["new", "old"], note: null, urgent: false, tip: 1.5, level: 2,
  slots: [{ hour: 5 }], labels: { colour: "red" }, pay: { kind: "voucher", code: "c" }, mixed: { a: "a", b: 1 }, nothing: {}, "odd-name": "x", "X-Trace": "t" });
if ("status" in changed) {
  const status: "open" | "paid" | "sent" = changed.status;
  const paid: string | null = changed.paid;
  if (typeof changed.customer === "object") {
    switch (changed.customer.object) {
      case "person": {
        const friend: string | PantryCustomer | undefined = changed.customer.friend;
        changed.customer.mail + status + paid + friend;
        break;
      }
      case "gone": { const deleted: true = changed.customer.deleted; deleted; break; }
    }
  }
  changed.secret + changed.sender?.id + changed.labels?.["any"] + changed.sums?.total + changed.sums?.["other"];
  const price: string | undefined = changed.lines?.[0]?.price;
  price + (changed.lines?.[0]?.gift?.words ?? "");
  const extra: unknown = changed.extra;
  extra;
} else {
  const id: string | undefined = changed.id;
  id;
}
const list = await call("pantry", "list-orders");
await call("pantry", "list-orders", { limit: 5 });
await call("pantry", "list-orders", {}, { signal: AbortSignal.timeout(1) });
for (const one of list) (one.customer?.id ?? "") + (one.labels?.colour ?? "") + (one.lines?.[0]?.cost ?? 0) + (typeof one.sender === "string" ? one.sender : one.sender?.id);
const nothing: null = await call("pantry", "drop-orders");
const cellar: null = await call("cellar", "list-orders");
const sealed = await call("vault", "list-orders", undefined, { permit: "p.e.r" });
const receipt: string | undefined = receiptOf(sealed);
const id: string = await visit();
export { nothing, cellar, receipt, id };
