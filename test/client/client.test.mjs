// client.js against a gate that is played here, over real HTTP.
import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import http from "node:http";
import fs from "node:fs";
import { createChallenge, verifySolution } from "altcha-lib";

const table = {
  prices: { catalogue: { currency: "eur", decimals: 2, items: { mug: { amount: 1900, max: 5, title: {} }, shirt: { amount: 2900, max: 20, title: {} } }, shipping: { flat: 490 }, order: { items: 20 } } },
  connections: {
    payments: {
      public: { publishable_key: "pk_test_1" },
      operations: {
        "create-payment": { method: "POST", path: "/v1/payments", body: true, params: { amount: { in: "body", wire: "amount" }, card: { in: "body", wire: "card" }, trace: { in: "header", wire: "X-Trace" } } },
        "get-payment": { method: "GET", path: "/v1/payments/{id}", params: { id: { in: "path", wire: "id" }, expand: { in: "query", wire: "expand" }, at: { in: "query", wire: "created" } } },
        "send-code": { method: "POST", path: "/Services/{ServiceSid}/Codes", body: true, params: { ServiceSid: { in: "path", wire: "ServiceSid", filled: true }, To: { in: "body", wire: "To" } } },
        "buy": { method: "POST", path: "/v1/buy", body: true, order: "catalogue", params: {} },
        "cancel": { method: "POST", path: "/v1/payments/{id}/cancel", params: { id: { in: "path", wire: "id" } } },
        "type-place": { method: "POST", path: "/v1/places:type", body: true, params: { input: { in: "body", wire: "input" }, lang: { in: "body", wire: "lang" } }, typed: { input: "input", least: 3 } },
        "list-raw": { method: "POST", path: "/raw", body: "whole", params: { body: { in: "body", wire: "body" } } },
      },
    },
  },
};

let server, base, requests, answers, raises, minted, lifetime, delay, copies = 0, token;

// One answer is taken for each call; the last one stays.
function reply(...list) { answers = list; }
const ok = (body = { ok: true }, status = 200) => ({ status, body });
const refused = (status, code, more = {}) => ({ status, body: { type: "about:blank#" + code, title: code, status, code, detail: code + " it was", request_id: "r1", ...more } });

before(async () => {
  server = http.createServer((q, r) => {
    let body = "";
    q.on("data", (d) => { body += d; });
    q.on("end", () => {
      const path = new URL(q.url, "http://x").pathname;
      requests.push({ method: q.method, url: q.url, headers: q.headers, body });
      if (path === "/shop/session" && q.method === "POST" && (q.headers["sallyport-proof"] || q.headers["sallyport-voucher"])) {
        const a = raises.length > 1 ? raises.shift() : raises[0];
        return setTimeout(() => r.writeHead(a.status, { "Content-Type": "application/json" }).end(JSON.stringify(a.body)), delay);
      }
      if (path === "/shop/session" && q.method === "POST") {
        return setTimeout(() => r.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ token: token(++minted), expires_in: lifetime })), delay);
      }
      if (path === "/shop/session") return r.writeHead(204).end();
      const a = answers.length > 1 ? answers.shift() : answers[0];
      if (a === "cut") return q.socket.destroy();
      if (a === "never") return;
      r.writeHead(a.status, { "Content-Type": "application/json", ...a.headers }).end(typeof a.body === "string" ? a.body : JSON.stringify(a.body));
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${server.address().port}/shop/`;
});
after(() => { server.closeAllConnections(); server.close(); });
beforeEach(() => { requests = []; minted = 0; lifetime = 900; delay = 0; token = (n) => "t" + n; reply(ok()); raises = [ok({ token: "raised", expires_in: 900 })]; globalThis.sessionStorage = storage(); });

function storage() {
  const kept = new Map();
  return { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v), removeItem: (k) => kept.delete(k), kept };
}

// The module as a gate serves it, fresh for each test.
async function load() {
  const source = fs.readFileSync(new URL("../../web/client/client.js", import.meta.url), "utf8")
    .replace("/*SITE*/null", JSON.stringify(table)).replace("import.meta.url", JSON.stringify(base + "client.js"));
  return import("data:text/javascript," + encodeURIComponent(source + `\n// ${++copies}`));
}

const calls = () => requests.filter((q) => q.url.startsWith("/shop/api/"));
const mints = () => requests.filter((q) => q.url === "/shop/session" && q.method === "POST");
async function problem(promise) {
  try { await promise; } catch (err) { return err; }
  assert.fail("nothing was refused");
}

test("parameters travel where the operation has them", async () => {
  const { call } = await load();
  await call("payments", "create-payment", { amount: 1900, card: { network: "visa" }, trace: "x1" });
  await call("payments", "get-payment", { id: "a/b ?", expand: ["x", "y"], at: { gte: 5 } });
  await call("payments", "send-code", { To: "+44" });
  await call("payments", "cancel", { id: "pi_1" });
  await call("payments", "list-raw", { body: [1, 2] });
  const [create, get, code, cancel, raw] = calls();
  assert.deepEqual(JSON.parse(create.body), { amount: 1900, card: { network: "visa" } });
  assert.equal(create.url, "/shop/api/payments/v1/payments");
  assert.equal(create.headers["x-trace"], "x1");
  assert.equal(create.headers["content-type"], "application/json");
  assert.equal(get.url, "/shop/api/payments/v1/payments/a%2Fb%20%3F?expand=x&expand=y&created%5Bgte%5D=5");
  assert.equal(get.body, "");
  assert.equal(code.url, "/shop/api/payments/Services/_/Codes");
  assert.equal(cancel.body, "");
  assert.equal(cancel.headers["content-type"], undefined);
  assert.deepEqual(JSON.parse(raw.body), [1, 2]);
});

test("undefined is left out, false and 0 and null are sent", async () => {
  const { call } = await load();
  await call("payments", "create-payment", { amount: 0, card: undefined });
  await call("payments", "create-payment", { amount: null, card: false });
  assert.equal(calls()[0].body, `{"amount":0}`);
  assert.equal(calls()[1].body, `{"amount":null,"card":false}`);
});

test("what the operation does not have is refused here, and nothing is sent", async () => {
  const { call, Problem } = await load();
  for (const [promise, code, where] of [
    [call("payments", "create-payment", { amuont: 1 }), "parameter_refused", "amuont"],
    [call("payments", "get-payment", {}), "contract_violation", "id"],
    [call("payments", "refund", {}), "operation_refused"],
    [call("maps", "geocode", {}), "operation_refused"],
  ]) {
    const p = await problem(promise);
    assert.ok(p instanceof Problem);
    assert.equal(p.code, code);
    assert.equal(p.faults[0]?.where, where);
    assert.match(p.message, code === "operation_refused" ? /; it has .*payments\/create-payment/ : /; wanted: \S/);
  }
  assert.equal(requests.length, 0);
});

test("one session for many calls, kept in the tab", async () => {
  delay = 20;
  const { call } = await load();
  await Promise.all(Array.from({ length: 10 }, () => call("payments", "get-payment", { id: "1" })));
  assert.equal(mints().length, 1);
  assert.ok(calls().every((q) => q.headers.authorization === "Bearer t1"));
  const again = await load(); // the next page of the visit
  await again.call("payments", "get-payment", { id: "1" });
  assert.equal(mints().length, 1);
});

test("a session that is about to end is not used", async () => {
  lifetime = 4;
  const { call } = await load();
  await call("payments", "get-payment", { id: "1" });
  await call("payments", "get-payment", { id: "1" });
  assert.equal(mints().length, 2);
});

// A page that is looked at, and one that is not.
function page(visibilityState) {
  const listeners = [];
  globalThis.document = { visibilityState, addEventListener: (_, f) => listeners.push(f) };
  return { turn(state) { globalThis.document.visibilityState = state; for (const f of listeners) f(); }, close() { delete globalThis.document; } };
}
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

test("a page that is looked at stays the same visit", async () => {
  const window = page("visible");
  lifetime = 8; // renewed at half of it, since its last minute is all of it
  const { call, end } = await load();
  await call("payments", "get-payment", { id: "1" });
  lifetime = 900;
  await wait(4300);
  assert.deepEqual(mints().map((q) => q.headers.authorization), [undefined, "Bearer t1"]);
  await call("payments", "get-payment", { id: "1" });
  assert.equal(calls().at(-1).headers.authorization, "Bearer t2");
  await end();
  window.close();
});

test("a page that is out of sight lets its session end, and one that comes back in time renews it", async () => {
  const window = page("hidden");
  lifetime = 8;
  const { call, end } = await load();
  await call("payments", "get-payment", { id: "1" });
  await wait(4300);
  assert.equal(mints().length, 1);
  window.turn("visible");
  lifetime = 900;
  await wait(2500);
  assert.equal(mints().length, 2);
  assert.equal(mints()[1].headers.authorization, "Bearer t1");
  await end();
  window.close();
});

test("without storage the session lives in the module", async () => {
  globalThis.sessionStorage = { getItem() { throw new Error("denied"); }, setItem() { throw new Error("denied"); }, removeItem() { throw new Error("denied"); } };
  const { call } = await load();
  await call("payments", "get-payment", { id: "1" });
  await call("payments", "get-payment", { id: "1" });
  assert.equal(mints().length, 1);
});

test("an ended session is renewed once, and the call keeps its idempotency key", async () => {
  const { call } = await load();
  reply(refused(401, "unauthenticated"), ok({ id: "1" }));
  assert.deepEqual(await call("payments", "create-payment", { amount: 5 }), { id: "1" });
  const [first, second] = calls();
  assert.equal(first.headers.authorization, "Bearer t1");
  assert.equal(second.headers.authorization, "Bearer t2");
  assert.ok(first.headers["idempotency-key"]);
  assert.equal(first.headers["idempotency-key"], second.headers["idempotency-key"]);
  assert.equal(first.body, second.body);

  reply(refused(401, "unauthenticated"));
  const p = await problem(call("payments", "create-payment", { amount: 5 }));
  assert.equal(p.code, "unauthenticated");
  assert.equal(calls().length, 4);
});

test("calls that fail together renew the session once", async () => {
  const { call } = await load();
  await call("payments", "get-payment", { id: "1" });
  delay = 20;
  reply(refused(401, "unauthenticated"), refused(401, "unauthenticated"), refused(401, "unauthenticated"), ok());
  await Promise.all([1, 2, 3].map(() => call("payments", "get-payment", { id: "1" })));
  assert.equal(mints().length, 2);
});

test("a 401 that is the provider's is no ended session and is not repeated", async () => {
  const { call } = await load();
  reply(refused(401, "provider_refused", { outcome: "not_performed" }));
  const p = await problem(call("payments", "create-payment", { amount: 5 }));
  assert.equal(p.code, "provider_refused");
  assert.equal(calls().length, 1);
  assert.equal(mints().length, 1);
});

test("problems are typed", async () => {
  const { call, Problem } = await load();
  reply(refused(429, "rate_limited", { hint: "slower", retry_after: 7, outcome: "unknown", faults: [{ where: "a" }], provider_code: "card_declined", idempotency_key: "k" }));
  const p = await problem(call("payments", "create-payment", {}));
  assert.ok(p instanceof Problem && p instanceof Error);
  assert.deepEqual({ ...p }, { name: "Problem", status: 429, code: "rate_limited", hint: "slower", requestId: "r1", outcome: "unknown",
    faults: [{ where: "a" }], retryAfter: 7, providerCode: "card_declined", guard: "", reason: "", idempotencyKey: "k", challenge: null, challengeFor: "" });
  assert.equal(p.message, "rate_limited it was");
  reply({ status: 502, body: "<html>" });
  assert.equal((await problem(call("payments", "create-payment", {}))).status, 502);
  reply({ status: 200, body: "<html>" });
  assert.equal((await problem(call("payments", "create-payment", {}))).code, "unreadable");
  reply({ status: 204, body: "" });
  assert.equal(await call("payments", "cancel", { id: "1" }), null);
});

test("a cut connection leaves the outcome open and names the key to repeat with", async () => {
  const { call } = await load();
  reply("cut");
  const p = await problem(call("payments", "create-payment", { amount: 5 }));
  assert.equal(p.code, "unreachable");
  assert.equal(p.outcome, "unknown");
  assert.equal(p.idempotencyKey, calls()[0].headers["idempotency-key"]);
  reply(ok());
  await call("payments", "create-payment", { amount: 5 }, { idempotencyKey: p.idempotencyKey });
  assert.equal(calls().at(-1).headers["idempotency-key"], p.idempotencyKey);
  reply("cut");
  const read = await problem(call("payments", "get-payment", { id: "1" }));
  assert.equal(read.outcome, "");
  assert.equal(read.idempotencyKey, "");
});

test("every call has a key of its own", async () => {
  const { call } = await load();
  await call("payments", "create-payment", {});
  await call("payments", "create-payment", {});
  await call("payments", "get-payment", { id: "1" });
  const [a, b, c] = calls().map((q) => q.headers["idempotency-key"]);
  assert.notEqual(a, b);
  assert.equal(c, undefined);
});

test("an aborted call ends with its reason", async () => {
  const { call } = await load();
  reply("never");
  const p = await problem(call("payments", "get-payment", { id: "1" }, { signal: AbortSignal.timeout(50) }));
  assert.equal(p.name, "TimeoutError");
  const before = calls().length;
  assert.equal((await problem(call("payments", "get-payment", { id: "1" }, { signal: AbortSignal.abort() }))).name, "AbortError");
  assert.equal(calls().length, before);
});

test("end revokes the session and forgets it", async () => {
  const { call, end } = await load();
  await end();
  assert.equal(requests.length, 0);
  await call("payments", "get-payment", { id: "1" });
  await end();
  const last = requests.at(-1);
  assert.equal(last.method + " " + last.headers.authorization, "DELETE Bearer t1");
  await call("payments", "get-payment", { id: "1" });
  assert.equal(mints().length, 2);
});

test("what a page may know of its site", async () => {
  const { publicValues, operations } = await load();
  assert.deepEqual(publicValues("payments"), { publishable_key: "pk_test_1" });
  assert.deepEqual(publicValues("nothing"), {});
  assert.deepEqual(operations(), { payments: ["create-payment", "get-payment", "send-code", "buy", "cancel", "type-place", "list-raw"] });
});

test("a permit is sent, and the receipt of an answer can be read", async () => {
  const { call, receiptOf } = await load();
  reply({ ...ok({ id: "p1" }), headers: { "Sallyport-Receipt": "r.e.c" } }, ok({ id: "p2" }), ok([]));
  const paid = await call("payments", "create-payment", {}, { permit: "p.e.r" });
  const other = await call("payments", "create-payment");
  assert.equal(receiptOf(paid), "r.e.c");
  assert.deepEqual(Object.keys(paid), ["id"]);
  assert.equal(receiptOf(other), undefined);
  assert.equal(receiptOf({ id: "p1" }), undefined);
  assert.equal(receiptOf(null), undefined);
  assert.deepEqual(calls().map((q) => q.headers["sallyport-permit"]), ["p.e.r", undefined]);
});

test("visit gives the id in the token", async () => {
  const { visit, call } = await load();
  const claims = Buffer.from(JSON.stringify({ iss: "sallyport", sid: "v-_?>1~~", exp: 1 })).toString("base64url");
  token = () => `e30.${claims}.c2ln`;
  assert.equal(await visit(), "v-_?>1~~");
  await call("payments", "cancel", { id: "1" });
  assert.equal(mints().length, 1); // the call is of the same visit
});

/* Challenges: made and checked by altcha-lib, which is not ours. */

const hmacKey = "a key of the test";
const task = (more = {}) => createChallenge({ hmacKey, maxnumber: 3000, params: { bind: "b".repeat(22) }, expires: new Date(Date.now() + 60_000), ...more });
const asked = async (use = "visit", more = {}) => refused(403, "challenge_required", { challenge: await task(more), challenge_for: use });
const proofs = () => requests.filter((q) => q.headers["sallyport-proof"]);
const raised = () => globalThis.sessionStorage.getItem("sallyport:" + base)?.includes("raised");
async function counts(q) {
  const [kind, payload] = q.headers["sallyport-proof"].split(" ");
  assert.equal(kind, "work");
  assert.ok(await verifySolution(payload, hmacKey), "altcha-lib refuses " + atob(payload));
}

test("a challenge is solved out of sight, and the same call made again with its key", async () => {
  const { call } = await load();
  for (const saltLength of [1, 8, 12, 25, 26, 27, 28, 40]) { // the number ends in one block, or in the next
    requests = [];
    globalThis.sessionStorage = storage();
    globalThis.sessionStorage.setItem("sallyport:" + base, JSON.stringify({ token: "fresh", until: Date.now() + 1e6 }));
    reply(await asked("visit", { saltLength }), ok({ id: 7 }));
    assert.deepEqual(await call("payments", "create-payment", { amount: 5 }), { id: 7 });
    assert.equal(proofs().length, 1);
    assert.equal(proofs()[0].url, "/shop/session");
    assert.equal(proofs()[0].headers.authorization, "Bearer fresh");
    await counts(proofs()[0]);
    const [one, two] = calls();
    assert.equal(two.headers.authorization, "Bearer raised");
    assert.equal(one.headers["idempotency-key"], two.headers["idempotency-key"]);
    assert.equal(one.body, two.body);
  }
});

test("a call may need a proof of its own", async () => {
  const { call } = await load();
  reply(await asked("call"), ok());
  await call("payments", "create-payment", { amount: 5 });
  assert.equal(mints().length, 1);
  assert.equal(proofs().length, 1);
  assert.match(proofs()[0].url, /payments/);
  await counts(proofs()[0]);
});

test("calls that are challenged together solve once", async () => {
  const { call } = await load();
  delay = 30;
  const again = await asked();
  reply(again, again, again, ok());
  await Promise.all([1, 2, 3].map((amount) => call("payments", "create-payment", { amount })));
  assert.equal(proofs().length, 1);
  assert.equal(calls().filter((q) => q.headers.authorization === "Bearer raised").length, 3);
});

test("a proof that is refused is not tried for ever", async () => {
  const { call } = await load();
  reply(await asked());
  raises = [refused(403, "challenge_refused", { challenge: await task(), challenge_for: "visit" })];
  assert.equal((await problem(call("payments", "create-payment", { amount: 5 }))).code, "challenge_refused");
  assert.ok(proofs().length >= 1 && proofs().length <= 2, proofs().length + " proofs");
});

test("solving ends with the call's signal, and never blocks the page for long", async () => {
  const { call } = await load();
  reply(await asked("visit", { maxnumber: 50_000_000, number: 50_000_000 }));
  const stop = new AbortController();
  let last = performance.now(), longest = 0, beats = 0;
  const beat = setInterval(() => { longest = Math.max(longest, performance.now() - last); last = performance.now(); beats++; }, 1);
  setTimeout(() => stop.abort(new Error("enough")), 400);
  await assert.rejects(call("payments", "create-payment", { amount: 5 }, { signal: stop.signal }), /enough/);
  clearInterval(beat);
  assert.ok(beats > 5 && longest < 300, `${beats} beats, the longest wait ${longest} ms`);
  assert.equal(proofs().length, 0);
});

test("one caller may give up while another still waits for the proof", async () => {
  const { call } = await load();
  delay = 80;
  const again = await asked();
  reply(again, again, ok());
  const stop = new AbortController();
  const first = call("payments", "create-payment", { amount: 1 }, { signal: stop.signal });
  const second = call("payments", "create-payment", { amount: 2 });
  setTimeout(() => stop.abort(new Error("enough")), 120);
  await assert.rejects(first, /enough/);
  await second;
  assert.ok(raised());
  assert.equal(proofs().length, 1);
});

test("a page that registered its backend sends its voucher, and else is told", async () => {
  const { call, onVoucher } = await load();
  const visits = [];
  token = () => "h." + Buffer.from(JSON.stringify({ sid: "visit-7" })).toString("base64url") + ".s";
  raises = [ok({ token: token(), expires_in: 900 })];
  onVoucher(async (visit) => { visits.push(visit); return "the.voucher.jws"; });
  reply(refused(403, "voucher_required"), ok());
  await call("payments", "create-payment", { amount: 5 });
  assert.deepEqual(visits, ["visit-7"]);
  assert.equal(requests.find((q) => q.headers["sallyport-voucher"]).headers["sallyport-voucher"], "the.voucher.jws");
  onVoucher(async () => null); // it knows nobody: the work is done instead
  reply(await asked(), ok());
  await call("payments", "create-payment", { amount: 5 });
  assert.equal(proofs().length, 1);
  onVoucher(null);
  reply(refused(403, "voucher_required"));
  assert.equal((await problem(call("payments", "create-payment", { amount: 5 }))).code, "voucher_required");
});

test("the site's bot check gets its token from the page", async () => {
  const { call, onChallenge } = await load();
  const bots = () => refused(403, "challenge_required", { challenge: { connection: "payments", action: "pay" }, challenge_for: "visit" });
  reply(bots());
  assert.equal((await problem(call("payments", "create-payment", {}))).code, "challenge_required");
  let got;
  onChallenge(async (t) => { got = t; return "XXXX.DUMMY.TOKEN.XXXX"; });
  reply(bots(), ok());
  await call("payments", "create-payment", {});
  assert.deepEqual(got, { connection: "payments", action: "pay", public: { publishable_key: "pk_test_1" } });
  assert.equal(proofs()[0].headers["sallyport-proof"], "payments XXXX.DUMMY.TOKEN.XXXX");
});

test("a challenge that cannot be solved is told, not waited for", async () => {
  const { call } = await load();
  reply(refused(403, "challenge_required", { challenge: { ...await task(), algorithm: "SHA-1" }, challenge_for: "visit" }));
  assert.equal((await problem(call("payments", "create-payment", {}))).code, "unreadable");
  reply(refused(403, "challenge_required", { challenge: { ...await task(), challenge: "0".repeat(64) }, challenge_for: "visit" }));
  assert.equal((await problem(call("payments", "create-payment", {}))).code, "unreadable");
});

test("autocomplete waits for the visitor, asks once, and forgets what was overtaken", async () => {
  const { autocomplete } = await load();
  const search = autocomplete("payments", "type-place", { params: { lang: "en" }, delay: 30 });
  assert.equal(await search.complete("W h"), null);
  const first = search.complete("Whi"), second = search.complete("Whit"), third = search.complete("Whits");
  assert.deepEqual(await Promise.all([first, second, third]), [null, null, { ok: true }]);
  assert.deepEqual(calls().map((c) => JSON.parse(c.body)), [{ lang: "en", input: "Whits" }]);
  assert.deepEqual(await search.complete("東京"), { ok: true }); // two signs are a word
  reply("never");
  const slow = search.complete("Whitst");
  await new Promise((done) => setTimeout(done, 80));
  reply(ok({ later: true }));
  const last = search.complete("Whitsta");
  assert.equal(await slow, null);
  assert.deepEqual(await last, { later: true });
  const gone = search.complete("Whitstab");
  search.cancel();
  assert.equal(await gone, null);
  assert.equal(calls().length, 4);
});

test("autocomplete tells refusals, and what it is not for", async () => {
  const { autocomplete, Problem } = await load();
  const search = autocomplete("payments", "type-place", { delay: 1 });
  reply(refused(403, "guard_refused", { guard: "autocomplete", reason: "too_many", retry_after: 60 }));
  const err = await problem(search.complete("Whitstable"));
  assert.ok(err instanceof Problem);
  assert.deepEqual([err.code, err.guard, err.reason, err.retryAfter], ["guard_refused", "autocomplete", "too_many", 60]);
  assert.throws(() => autocomplete("payments", "get-payment"), (e) => e.code === "operation_refused");
});

test("an order travels as a dictionary, and only of items that there are", async () => {
  const { call, prices } = await load();
  await call("payments", "buy", {}, { order: { mug: 2, shirt: 0, "other": undefined } });
  assert.equal(calls()[0].headers["sallyport-order"], "mug=2");
  assert.equal(prices().catalogue.items.mug.amount, 1900);
  prices().catalogue.items.mug.amount = 1; // a copy
  assert.equal(prices().catalogue.items.mug.amount, 1900);
  for (const order of [{ cup: 1 }, { mug: 1.5 }, { mug: -1 }, { mug: "2" }, { constructor: 1 }]) {
    assert.equal((await problem(call("payments", "buy", {}, { order }))).code, "order_refused");
  }
  assert.equal((await problem(call("payments", "cancel", { id: "x" }, { order: { mug: 1 } }))).code, "order_refused");
  assert.equal(calls().length, 1);
});
