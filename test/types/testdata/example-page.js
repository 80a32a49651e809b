// @ts-check
/// <reference path="./example.d.ts" />
import { call } from "https://api.shop.example/client.js";

/** @type {import("sallyport/shop").Params<"payments", "create-payment-intent">} */
const order = { amount: 1900 };
const paid = await call("payments", "create-payment-intent", order);
paid.id.toUpperCase();
paid.customer; // TS2339
await call("payments", "create-payment-intent", { amount: "1900" }); // TS2322
await call("maps", "geocode", {}); // TS2345
