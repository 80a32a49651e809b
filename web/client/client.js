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
    /** The key to repeat this very call with. */
    this.idempotencyKey = document.idempotency_key ?? "";
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
 * @param {{signal?: AbortSignal, idempotencyKey?: string, permit?: string}} options
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
  if (options.permit !== undefined) request.headers["Sallyport-Permit"] = options.permit;
  for (let again = true; ; again = false) {
    const token = await session();
    options.signal?.throwIfAborted();
    try {
      return await read(await send(request, token, options.signal));
    } catch (err) {
      // The session ended, and no call was made: one more try, in a new session, with the same key.
      if (!again || !(err instanceof Problem) || err.code !== "unauthenticated") throw err;
      forget(token);
    }
  }
}

function known() {
  return Object.entries(operations()).flatMap(([name, all]) => all.map((o) => `${name}/${o}`)).join(", ") || "none";
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

/** Ends the visit's session now. */
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

// One request for a session at a time, however many calls wait for it.
let minting = null;

async function session() {
  const kept = load();
  if (kept && kept.until > Date.now() + 5000) return kept.token;
  minting ??= mint().finally(() => { minting = null; });
  return minting;
}

async function mint() {
  let answer;
  try {
    answer = await fetch(new URL("session", base), { method: "POST", mode: "cors", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" });
  } catch {
    throw new Problem({ code: "unreachable", detail: "The gate could not be reached." });
  }
  const { token, expires_in } = await read(answer); // expires_in, and not a date: this clock may be wrong
  save({ token, until: Date.now() + expires_in * 1000 });
  return token;
}

// The session lives in this tab. Where storage is refused it lives in this module.
let memory = null;
function load() { try { return JSON.parse(sessionStorage.getItem(storeKey)) ?? memory; } catch { return memory; } }
function save(value) { memory = value; try { sessionStorage.setItem(storeKey, JSON.stringify(value)); } catch { /* memory serves */ } }

// Only the token that failed: another call may have got a new one meanwhile.
function forget(token) {
  if (load()?.token !== token) return;
  memory = null;
  try { sessionStorage.removeItem(storeKey); } catch { /* memory serves */ }
}
