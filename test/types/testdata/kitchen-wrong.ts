import { call, type Params } from "http://localhost:8443/kitchen/client.js";

type Order = Params<"pantry", "change-order">;
const order: Order = { order: "o_1", lines: [], address: { city: "x" }, delivery: { on: "x" }, pay: { kind: "cash" } };
export const a: Order["lines"] = [{ price: "p_3", quantity: 1 }]; // TS2322
export const b: Order["lines"] = [{ price: "p_1" }]; // TS2741
export const c: Order["lines"] = [{ price: "p_1", quantity: 1, currency: "usd" }]; // TS2353
export const d: Order["lines"] = [{ price: "p_1", quantity: 1, gift: { paper: "red" } }]; // TS2741
export const e: Order["lines"] = { price: "p_1", quantity: 1 }; // TS2353
export const f: Order["slots"] = [{ hour: 1 }, { hour: 2 }]; // TS2322
export const g: Order["slots"] = [{ day: "friday" }]; // TS2353
export const h: Order["address"] = { city: "x", country: "FR" }; // TS2353
export const i: Order["address"] = { zip: "1" }; // TS2741
export const j: Order["delivery"] = { on: "x", by: "car" }; // TS2353
export const k: Order["labels"] = { size: "xl" }; // TS2353
export const l: Order["pay"] = { kind: "bank" }; // TS2322
export const m: Order["pay"] = { kind: "gold", iban: "x" }; // TS2322
export const n: Order["filter"] = { all: [{ all: [{ iss: "b" }] }] }; // TS2353
export const o: Order["mixed"] = { b: 1 }; // TS2741
export const p: Order["nothing"] = { x: 1 }; // TS2322
export const q: Order["level"] = 3; // TS2322
export const r: Order["tags"] = ["newest"]; // TS2322
export const s: Order = { order: "o_1", lines: [], delivery: { on: "x" }, pay: { kind: "cash" } }; // TS2741
await call("pantry", "change-order", { ...order, shop: "two" }); // TS2353
await call("pantry", "change-order", { ...order, account: "acct_2" }); // TS2353
await call("pantry", "change-order", { ...order, urgent: null }); // TS2322
await call("closed", "list-orders"); // TS2345
await call("cellar", "list-orders", { limit: 5 }); // TS2322
await call("pantry", "drop-orders", { order: "x" }); // TS2322
const changed = await call("pantry", "change-order", order);
changed.status; // TS2339
if ("status" in changed) {
  changed.status === "lost"; // TS2367
  changed.sender?.token; // TS2339
  typeof changed.customer === "object" && changed.customer.object === "person" && changed.customer.token; // TS2339
  changed.lines?.[0]?.cost; // TS2339
  changed.customer.id; // TS2339
}
const list = await call("pantry", "list-orders");
list[0]?.lines?.[0]?.key; // TS2339
list[0]?.customer?.mail; // TS2339
list[0]?.status; // TS2339
await call("vault", "list-orders"); // TS2554
await call("vault", "list-orders", {}, {}); // TS2741
await call("vault", "list-orders", { limit: 5 }, { permit: "p" }); // TS2322
await call("vault", "list-orders", {}, { permit: 5 }); // TS2322
