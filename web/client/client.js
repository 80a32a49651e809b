// client.js: calls the operations that this site's file allows a browser, through the gate.
//
//   import { call, Problem } from "https://api.shop.example/client.js";
//   const intent = await call("payments", "create-payment-intent", { amount: 1900 });
//
// No key is in this file and none is needed: the gate adds it. Every refusal is a Problem
// with a stable `code`; see docs/reference/problems.md.

const site = /*SITE*/null;
const base = new URL(".", import.meta.url);
const storeKey = "sallyport:" + base.href;

/** What the gate or the provider refused, as an RFC 9457 problem document. */
export class Problem extends Error {
  constructor(document, response) {
    super(document.detail || document.title || "The call failed");
    this.name = "Problem";
    /** HTTP status, or 0 when the gate could not be reached. */
    this.status = document.status ?? response?.status ?? 0;
    /** A stable code to branch on: rate_limited, parameter_refused, … */
    this.code = document.code ?? "unreachable";
    this.hint = document.hint ?? "";
    this.requestId = document.request_id ?? "";
    /** performed | not_performed | unknown, or "" when nothing was sent to the provider. */
    this.outcome = document.outcome ?? "";
    this.faults = document.faults ?? [];
    /** Seconds to wait before another try; 0 when the gate named none. */
    this.retryAfter = document.retry_after ?? 0;
    this.providerCode = document.provider_code ?? "";
    /** Of guard_refused: the guard, and destination, input or too_many. */
    this.guard = document.guard ?? "";
    this.reason = document.reason ?? "";
    /** The key to repeat this very call with. */
    this.idempotencyKey = document.idempotency_key ?? "";
    /** What has to be solved first, and whether its proof is for the "visit" or for this "call". */
    this.challenge = document.challenge ?? null;
    this.challengeFor = document.challenge_for ?? "";
  }
}

/** Public values of a connection (publishable key, client id), as the site's file names them. */
export function publicValues(connection) {
  return { ...(site.connections[connection]?.public ?? {}) };
}

/** The operations that a browser may call on this site: { connection: [operation, …] }. */
export function operations() {
  return Object.fromEntries(Object.entries(site.connections).map(([name, c]) => [name, Object.keys(c.operations)]));
}

/**
 * Calls one operation and returns its reduced answer.
 * @param {string} connection  a connection of this site
 * @param {string} operation   an operation that its file allows browsers
 * @param {object} params      parameters by name, wherever they travel
 * @param {{signal?: AbortSignal, idempotencyKey?: string, permit?: string, order?: Object<string, number>}} options
 *   order: how many of which item, { mug: 2 }, where the amount comes from a price list (prices())
 *   permit: what the site's backend signed, where the operation has sealed parameters
 * @throws {Problem}
 */
export async function call(connection, operation, params = {}, options = {}) {
  const rule = site.connections[connection]?.operations[operation];
  if (!rule) {
    throw new Problem({ code: "operation_refused", status: 403,
      detail: `This site has no browser operation ${connection}/${operation}; it has ${known()}.`,
      hint: "Name it under browser: in sallyport.yaml." });
  }
  const request = build(connection, operation, rule, params);
  if (rule.method !== "GET") {
    request.headers["Idempotency-Key"] = options.idempotencyKey ?? crypto.randomUUID();
  }
  if (options.order !== undefined) request.headers["Sallyport-Order"] = ordered(operation, rule, options.order);
  if (options.permit !== undefined) request.headers["Sallyport-Permit"] = options.permit;
  for (let renewed = 0, proved = 0; ;) {
    const token = await session();
    options.signal?.throwIfAborted();
    try {
      return await read(await send(request, token, options.signal));
    } catch (err) {
      // Nothing was sent to the provider yet: one more try, with the same key.
      if (err instanceof Problem && err.code === "unauthenticated" && renewed++ < 1) forget(token); // the session ended
      else if (wantsProof(err) && proved++ < 2) await prove(err, token, request, options.signal);
      else throw err;
    }
  }
}

function known() {
  return Object.entries(operations()).flatMap(([name, all]) => all.map((o) => `${name}/${o}`)).join(", ") || "none";
}

/** The price lists that this site's operations take orders from: { catalogue: { currency, decimals, items, shipping, order } }. */
export function prices() {
  return structuredClone(site.prices ?? {});
}

// An order as a dictionary of RFC 8941; items of which there are none are left out.
function ordered(operation, rule, order) {
  const refuse = (detail, hint) => { throw new Problem({ code: "order_refused", status: 422, detail, hint }); };
  if (!rule.order) refuse(`${operation} takes no order.`, "Write from: in the operation's rule in sallyport.yaml.");
  const items = site.prices[rule.order].items;
  return Object.entries(order).filter(([, quantity]) => quantity !== undefined && quantity !== 0).map(([item, quantity]) => {
    if (!Object.hasOwn(items, item)) refuse(`The price list ${rule.order} has no item ${item}.`, "It has " + Object.keys(items).join(", ") + ".");
    if (!Number.isSafeInteger(quantity) || quantity < 0) refuse(`The quantity of ${item} is not a whole number from 0.`);
    return `${item}=${quantity}`;
  }).join(", ");
}

/** The id of this visit, which the site's backend writes into a permit. It changes when the session ends. */
export async function visit() {
  const [, claims] = (await session()).split(".");
  return JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))).sid;
}

const receipts = new WeakMap();

/** The signed receipt that came with an answer of call(), for the site's backend; undefined where none came. */
export function receiptOf(answer) {
  return receipts.get(answer);
}

// A sign of the scripts that write a word with one or two counts for two, as at the gate.
const characters = (text) => [...text].reduce((n, c) => n + (/\p{sc=Han}|\p{sc=Hira}|\p{sc=Kana}|\p{sc=Hang}/u.test(c) ? 2 : /\s/u.test(c) ? 0 : 1), 0);

/**
 * Completes what a visitor types. complete(text) waits until the visitor pauses and answers
 * with the operation's answer, or with null: too little was typed, or the next key came
 * first. The gate joins the calls of one search by a token of its own; the call that reads
 * the chosen place ends it.
 * @param {string} connection  a connection of this site
 * @param {string} operation   an operation that completes what is typed
 * @param {{params?: object, delay?: number}} options
 *   params: further parameters of each call; delay: the pause in milliseconds, 250 by default
 */
export function autocomplete(connection, operation, options = {}) {
  const typed = site.connections[connection]?.operations[operation]?.typed;
  if (!typed) {
    throw new Problem({ code: "operation_refused", status: 403,
      detail: `${connection}/${operation} is no operation of this site that completes what a visitor types.`,
      hint: "Name one under browser: in sallyport.yaml, such as autocomplete-places." });
  }
  let overtake = () => {};
  return {
    complete(text) {
      overtake();
      if (characters(text) < typed.least) return Promise.resolve(null);
      return new Promise((resolve, reject) => {
        const mine = new AbortController();
        const timer = setTimeout(() => {
          call(connection, operation, { ...options.params, [typed.input]: text }, { signal: mine.signal })
            .then(resolve, (err) => mine.signal.aborted ? resolve(null) : reject(err));
        }, options.delay ?? 250);
        overtake = () => { clearTimeout(timer); mine.abort(); resolve(null); };
      });
    },
    /** Forgets what was typed last. */
    cancel() { overtake(); },
  };
}

/* Who is signed in. */

/** The connections that visitors can sign in with on this page: none on a preview of the site. */
export function logins() {
  return site.origins?.includes(globalThis.location?.origin) ? [...site.logins] : [];
}

/**
 * Sends the visitor to sign in; the page is left. Afterwards the visitor is at returnTo, which lies on
 * one of the site's origins (this page by default), and loginResult() says how it ended.
 * @param {string} connection  one of logins()
 * @param {{returnTo?: string}} options
 */
export function login(connection, options = {}) {
  if (!logins().includes(connection)) {
    throw new Problem({ code: "unknown_connection", status: 404, detail: `Nobody signs in with ${connection} at this site.`,
      hint: "It has " + (logins().join(", ") || "no login") + "; write login: in sallyport.yaml." });
  }
  const back = new URL(options.returnTo ?? location.href, location.href);
  back.hash = "";
  forget(load()?.token); // the visit that comes back is a new one
  const to = new URL(`login/${encodeURIComponent(connection)}`, base);
  to.searchParams.set("return_to", back.href);
  location.assign(to);
}

/** How the sign-in that led to this page ended: "ok", a problem code such as login_refused, or "" where none did. */
export function loginResult() {
  return ended;
}

/**
 * Who is signed in: { subject, connection, claims, expires_in, statement }, or null. subject is this
 * site's own name for the person; statement is signed, for the site's backend.
 */
export async function me() {
  if (!logins().length) return null;
  for (let renewed = 0; ;) {
    const token = await session();
    try {
      const { signed_in: signedIn, ...who } = await read(await fetch(new URL("me", base), { mode: "cors", credentials: "omit", cache: "no-store",
        redirect: "error", referrerPolicy: "no-referrer", headers: { Authorization: `Bearer ${token}` } }).catch(unreachable));
      return signedIn ? who : null;
    } catch (err) {
      if (!(err instanceof Problem && err.code === "unauthenticated" && renewed++ < 1)) throw err;
      forget(token);
    }
  }
}

/** Signs the visitor out, everywhere the sign-in was used, and begins a new visit with the next call. */
export async function logout() {
  const kept = load();
  const answer = await fetch(new URL("logout", base), { method: "POST", mode: "cors", credentials: "include", redirect: "error",
    referrerPolicy: "no-referrer", headers: kept ? { Authorization: `Bearer ${kept.token}` } : {} }).catch(unreachable);
  await read(answer);
  forget(kept?.token);
}

/* Accounts of visitors at providers. */

/** Asks the gate about accounts, with the visit's session; a session that ended meanwhile is renewed once. */
async function accounts(path, method, body) {
  for (let renewed = 0; ;) {
    const token = await session();
    try {
      return await read(await fetch(new URL(path, base), { method, mode: "cors", credentials: "include", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer",
        headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) }, body: body && JSON.stringify(body) }).catch(unreachable));
    } catch (err) {
      if (!(err instanceof Problem && err.code === "unauthenticated" && renewed++ < 1)) throw err;
      forget(token);
    }
  }
}

function connectable(connection) {
  if (site.connects?.includes(connection) && logins().length) return;
  throw new Problem({ code: "unknown_connection", status: 404, detail: `No accounts of ${connection} are connected on this page.`,
    hint: "It has " + (site.connects?.join(", ") || "no connect") + "; write connect: in sallyport.yaml." });
}

/**
 * Sends the signed-in visitor to connect an account; the page is left. Afterwards the visitor is at
 * returnTo (this page by default), and connectResult() says how it ended.
 * @param {string} connection
 * @param {{returnTo?: string}} options
 */
export async function connect(connection, options = {}) {
  connectable(connection);
  const back = new URL(options.returnTo ?? location.href, location.href);
  back.hash = "";
  const { location: to } = await accounts(`connect/${encodeURIComponent(connection)}`, "POST", { return_to: back.href });
  location.assign(to);
}

/** How the connecting that led to this page ended: "ok", a problem code such as connect_refused, or "" where none did. */
export function connectResult() {
  return joined;
}

/** The accounts of the signed-in visitor: [{ connection, status, scopes, since }]; status is connected, reconnect or none. */
export async function connections() {
  return site.connects && logins().length ? (await accounts("connect", "GET")).connections : [];
}

/** Forgets an account, and ends its grant at the provider: { was_connected, revoked }. */
export async function disconnect(connection) {
  connectable(connection);
  return accounts(`connect/${encodeURIComponent(connection)}`, "DELETE");
}

const unreachable = () => { throw new Problem({ code: "unreachable", detail: "The gate could not be reached." }); };

/** Ends the visit's session now. It does not sign out; see logout(). */
export async function end() {
  const kept = load();
  if (!kept) return;
  forget(kept.token);
  await fetch(new URL("session", base), { method: "DELETE", mode: "cors", credentials: "omit", redirect: "error",
    referrerPolicy: "no-referrer", headers: { Authorization: `Bearer ${kept.token}` } });
}

function build(connection, operation, rule, params) {
  const headers = {}, query = new URLSearchParams(), body = {};
  const refuse = (code, where, found, want) => {
    throw new Problem({ code, status: 422, detail: `${operation}: ${where} is ${found}; wanted: ${want}.`, faults: [{ where, found, want }] });
  };
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    const at = rule.params[name];
    if (!at) refuse("parameter_refused", name, "not a parameter that a page may choose", "one of " + Object.keys(rule.params).join(", "));
    if (at.in === "query") append(query, at.wire, value);
    else if (at.in === "header") headers[at.wire] = String(value);
    else if (at.in === "body") body[at.wire] = value;
  }
  const path = rule.path.replace(/\{([^}]+)\}/g, (_, wire) => {
    const [name, at] = Object.entries(rule.params).find(([, p]) => p.in === "path" && p.wire === wire) ?? [wire];
    if (params[name] !== undefined) return encodeURIComponent(String(params[name]));
    return at?.filled ? "_" : refuse("contract_violation", name, "missing", "a value: it stands in the path"); // "_": the gate fills it
  });
  const url = new URL(`api/${encodeURIComponent(connection)}${path}`, base);
  url.search = query;
  const request = { url, method: rule.method, headers };
  if (rule.body) {
    headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(rule.body === "whole" ? body.body : body);
  }
  return request;
}

function append(query, name, value) {
  if (Array.isArray(value)) for (const v of value) append(query, name, v);
  else if (value !== null && typeof value === "object") for (const [k, v] of Object.entries(value)) append(query, `${name}[${k}]`, v);
  else query.append(name, String(value));
}

async function send({ url, method, headers, body }, token, signal) {
  try {
    return await fetch(url, { method, body, signal, headers: { ...headers, Authorization: `Bearer ${token}` },
      mode: "cors", credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer" });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new Problem({ code: "unreachable", detail: "The gate could not be reached.",
      outcome: method === "GET" ? "" : "unknown", idempotency_key: headers["Idempotency-Key"],
      hint: "Try again with the same idempotencyKey; the gate makes a call with one key only once." });
  }
}

async function read(answer) {
  const text = await answer.text();
  let document = null;
  try { document = text ? JSON.parse(text) : null; } catch { /* told below */ }
  if (!answer.ok) throw new Problem(document ?? { status: answer.status, detail: "The gate answered with status " + answer.status + "." }, answer);
  if (text && document === null && text !== "null") throw new Problem({ code: "unreadable", status: answer.status, detail: "The answer is not JSON." }, answer);
  const receipt = answer.headers.get("Sallyport-Receipt");
  if (receipt && document !== null && typeof document === "object") receipts.set(document, receipt);
  return document;
}

/* Who speaks for the visit. */

let askBackend = null, askWidget = null;

/**
 * Registers how to get a voucher of the site's own backend. It is asked when an operation wants one,
 * with the visit's id, and gives the voucher, or null where the backend knows nobody.
 * @param {((visit: string) => Promise<string|null>)|null} ask
 */
export function onVoucher(ask) { askBackend = ask; }

/**
 * Registers how to get a token of the site's bot check, where its file names one: the page shows the
 * provider's own widget and gives its token.
 * @param {((task: {connection: string, action?: string, public: object}) => Promise<string>)|null} ask
 */
export function onChallenge(ask) { askWidget = ask; }

const wantsProof = (err) => err instanceof Problem && (err.challenge !== null || (err.code === "voucher_required" && askBackend !== null));

// Raises the visit, or puts a proof beside the one call that needs its own.
async function prove(err, token, request, signal) {
  if (err.challengeFor === "call") {
    request.headers["Sallyport-Proof"] = "work " + await solve(err.challenge, signal);
    return;
  }
  if (load()?.token !== token) return; // another call raised the visit meanwhile
  await shared(err, token, signal);
}

// One raise at a time, however many calls wait for it. It ends when none of them waits any more.
let raising = null;
async function shared(err, token, signal) {
  if (!raising) {
    const stop = new AbortController();
    const one = raising = { waiting: 0, stop };
    one.done = raise(err, token, stop.signal).finally(() => { if (raising === one) raising = null; });
    one.done.catch(() => {}); // told to those who wait
  }
  const one = raising;
  one.waiting++;
  let left;
  try {
    await Promise.race([one.done, new Promise((_, reject) => {
      left = () => reject(signal.reason);
      signal?.addEventListener("abort", left, { once: true });
    })]);
  } finally {
    signal?.removeEventListener("abort", left);
    if (--one.waiting === 0) { one.stop.abort(); if (raising === one) raising = null; }
  }
}

async function raise(err, token, signal) {
  const voucher = askBackend ? await askBackend(await visit()) : null;
  if (!voucher && !err.challenge) throw err;
  const headers = { Authorization: `Bearer ${token}` };
  if (voucher) headers["Sallyport-Voucher"] = voucher;
  else headers["Sallyport-Proof"] = await proofOf(err, signal);
  keep(await read(await post(headers, signal)));
}

async function proofOf(err, signal) {
  const { connection, action } = err.challenge;
  if (!connection) return "work " + await solve(err.challenge, signal);
  if (!askWidget) throw err;
  return connection + " " + await askWidget({ connection, action, public: publicValues(connection) });
}

const SLICE = 8; // milliseconds

// ALTCHA's scheme: the number for which SHA-256(salt + number) is the challenge. It is looked for in
// slices of a few milliseconds, so that the page goes on answering; no worker, because a page's
// Content-Security-Policy may forbid one.
async function solve({ algorithm, challenge, salt, maxnumber, signature }, signal) {
  if (algorithm !== "SHA-256" || !/^[0-9a-f]{64}$/.test(challenge)) throw new Problem({ code: "unreadable", detail: "The challenge is of a kind that this client does not know." });
  const want = Array.from({ length: 8 }, (_, i) => parseInt(challenge.slice(8 * i, 8 * i + 8), 16) | 0);
  const hash = hasher(salt);
  for (let n = 0, until = performance.now() + SLICE; n <= maxnumber; n++) {
    const got = hash(String(n));
    if (got[0] === want[0] && want.every((w, i) => w === got[i])) {
      return btoa(JSON.stringify({ algorithm, challenge, number: n, salt, signature }));
    }
    if ((n & 63) === 63 && performance.now() > until) {
      await pause();
      signal?.throwIfAborted();
      until = performance.now() + SLICE;
    }
  }
  throw new Problem({ code: "unreadable", detail: "The challenge has no solution." });
}

// A break between slices. Timers wait a second in hidden tabs; messages do not.
async function pause() {
  if (!globalThis.document?.hidden) return new Promise((go) => setTimeout(go));
  const { port1, port2 } = new MessageChannel();
  await new Promise((go) => { port1.onmessage = go; port2.postMessage(0); });
  port1.close();
}

// SHA-256 (FIPS 180-4) of a fixed beginning and a short end: whole blocks of the beginning are hashed once.
function hasher(beginning) {
  const head = new TextEncoder().encode(beginning), whole = head.length & ~63;
  let start = Int32Array.from(INITIAL);
  const words = new Int32Array(64), block = new Uint8Array(128), view = new DataView(block.buffer);
  const compress = (state, at) => {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = words[i - 15], y = words[i - 2];
      words[i] = words[i - 16] + words[i - 7] + (rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)) + (rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10));
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i++) {
      const t = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[i] + words[i] | 0;
      const u = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c)) | 0;
      h = g; g = f; f = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
    }
    return Int32Array.of(state[0] + a, state[1] + b, state[2] + c, state[3] + d, state[4] + e, state[5] + f, state[6] + g, state[7] + h);
  };
  for (let at = 0; at < whole; at += 64) { block.set(head.subarray(at, at + 64)); start = compress(start, 0); }
  return (end) => {
    block.fill(0);
    block.set(head.subarray(whole));
    let length = head.length - whole;
    for (let i = 0; i < end.length; i++) block[length++] = end.charCodeAt(i); // digits
    block[length] = 0x80;
    const last = length < 56 ? 0 : 64;
    view.setUint32(last + 60, 8 * (whole + length));
    const state = compress(start, 0);
    return last ? compress(state, 64) : state;
  };
}

const rotate = (x, n) => (x >>> n) | (x << (32 - n));

// The first 32 bits of the fractional parts of the roots of the first primes.
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (x) => (x - Math.floor(x)) * 2 ** 32 | 0;
const INITIAL = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
const ROUNDS = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));

// One request for a session at a time, however many calls wait for it.
let minting = null;

async function session() {
  const kept = load();
  if (kept && kept.until > Date.now() + 5000) return kept.token;
  minting ??= mint().finally(() => { minting = null; });
  return minting;
}

// A visitor who reads for half an hour stays the same visit, so that a payment that was begun is
// still its own: while the page is looked at, the session is renewed in its last minute. The gate
// ends a visit after 12 hours.
let renewal;
function renewLater(kept) {
  clearTimeout(renewal);
  if (!globalThis.document) return; // only a page is looked at
  const left = kept.until - Date.now();
  renewal = setTimeout(renew, Math.max(left / 2, left - 45000), kept.token);
}
async function renew(token) {
  const kept = load();
  if (kept?.token !== token || kept.until < Date.now() + 1000 || document.visibilityState === "hidden") return;
  try { await mint(token); } catch { /* the next call begins a new visit */ }
}
globalThis.document?.addEventListener("visibilitychange", () => {
  const kept = load();
  if (kept && document.visibilityState === "visible") renewLater(kept);
});

async function mint(of = "") {
  return keep(await read(await post(of ? { Authorization: `Bearer ${of}` } : {})));
}

async function post(headers, signal) {
  try {
    return await fetch(new URL("session", base), { method: "POST", mode: "cors", credentials: logins().length ? "include" : "omit", redirect: "error", referrerPolicy: "no-referrer", headers, signal });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new Problem({ code: "unreachable", detail: "The gate could not be reached." });
  }
}

function keep({ token, expires_in }) { // expires_in, and not a date: this clock may be wrong
  save({ token, until: Date.now() + expires_in * 1000 });
  renewLater(load());
  return token;
}

// The session lives in this tab. Where storage is refused it lives in this module.
let memory = null;
function load() { try { return JSON.parse(sessionStorage.getItem(storeKey)) ?? memory; } catch { return memory; } }
function save(value) { memory = value; try { sessionStorage.setItem(storeKey, JSON.stringify(value)); } catch { /* memory serves */ } }

// Only the token that failed: another call may have got a new one meanwhile.
function forget(token) {
  if (token === undefined || load()?.token !== token) return;
  memory = null;
  clearTimeout(renewal);
  try { sessionStorage.removeItem(storeKey); } catch { /* memory serves */ }
}

// How a sign-in that ended on this page went: read once, and taken out of the address.
let ended = "";
if (globalThis.location?.hash?.startsWith("#sallyport-login=")) {
  ended = decodeURIComponent(location.hash.slice("#sallyport-login=".length));
  history.replaceState(history.state, "", location.pathname + location.search);
  if (ended === "ok") forget(load()?.token);
}

let joined = "";
if (globalThis.location?.hash?.startsWith("#sallyport-connect=")) {
  joined = decodeURIComponent(location.hash.slice("#sallyport-connect=".length));
  history.replaceState(history.state, "", location.pathname + location.search);
}
