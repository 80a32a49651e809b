// sallyport.mjs: what a site's backend needs beside its site key. It signs permits and
// vouchers, and verifies or claims receipts. One file, Node.js 20 or newer, no dependency:
// copy it into your project.
//
//   import { signPermit } from "./sallyport.mjs";
//   const permit = signPermit(siteKey, {
//     site: "shop", connection: "payments", mode: "live", operation: "create-payment-intent",
//     origin: "https://shop.example", session: visit, // from visit() in the page
//     sealed: { amount: 1900 },
//   });
//
// Formats: docs/formats/permit.md and docs/formats/receipt.md; backend/vectors.json holds
// examples that every helper passes.
import { createPrivateKey, createPublicKey, hkdfSync, randomBytes, sign as ed25519Sign, verify as ed25519Verify } from "node:crypto";

/** As a permit's session it lets every visit use the permit. Name the visit where you can. */
export const anySession = "any";

/**
 * Signs a permit with a site key (sallyport keys create SITE).
 * @param {string} siteKey
 * @param {{site: string, connection: string, mode: string, operation: string, origin: string, session: string,
 *   sealed?: object, uses?: number, life?: number, id?: string, now?: number}} permit
 *   sealed: values by parameter path, exactly those that the site's file seals; uses: 1;
 *   life: seconds, at most 900 (300); id: uses of one id are counted together (random);
 *   now: Unix seconds (the clock)
 */
export function signPermit(siteKey, permit) {
  const { site, connection, mode, operation, origin, session, sealed = {}, uses = 1, id = random() } = permit;
  need("permit", { site, connection, mode, operation, origin, session });
  const [from, to] = times(permit);
  return sign("sallyport-permit+jwt", siteKey,
    { jti: id, site, connection, mode, operation, origin, session, sealed, uses, nbf: from, exp: to });
}

/** Signs a voucher, which says that your backend knows the visitor; the key must be for all connections. */
export function signVoucher(siteKey, voucher) {
  const { site, session, id = random() } = voucher;
  need("voucher", { site, session });
  return sign("sallyport-voucher+jwt", siteKey, { jti: id, site, session, exp: times(voucher)[1] });
}

function need(what, fields) {
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== "string" || value === "") throw new TypeError(`a ${what} needs ${name}, a text`);
  }
}

function times({ now = Math.floor(Date.now() / 1000), life = 300 }) {
  if (!Number.isInteger(life) || life < 1 || life > 900) throw new RangeError("life is whole seconds from 1 to 900");
  return [now, now + life];
}

const random = () => randomBytes(16).toString("base64url");
const b64 = (data) => Buffer.from(data).toString("base64url");

function sign(typ, siteKey, claims) {
  if (typeof siteKey !== "string" || siteKey.length < 8) throw new TypeError("the site key is missing");
  const seed = Buffer.from(hkdfSync("sha256", siteKey, "", "sallyport/v1/site-key/permit", 32));
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]); // PKCS #8 around the seed (RFC 8410)
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const kid = createPublicKey(key).export({ format: "jwk" }).x;
  const signed = b64(JSON.stringify({ alg: "EdDSA", typ, kid })) + "." + b64(JSON.stringify(claims));
  const token = signed + "." + b64(ed25519Sign(null, Buffer.from(signed), key));
  if (token.length > 4096) throw new RangeError(`the token has ${token.length} bytes, more than the 4096 that the gate reads: seal less`);
  return token;
}

/**
 * Why a receipt does not count; reason is malformed, key, signature, claims, site, connection,
 * mode, operation, session, expired, early, used or refused.
 */
export class ReceiptError extends Error {
  constructor(reason) {
    super("the receipt does not hold: " + reason);
    this.name = "ReceiptError";
    this.reason = reason;
  }
}

/**
 * Verifies a receipt offline, with the gate's key set, uses it up, and gives its claims.
 * @param {string} token
 * @param {{site: string, connection: string, mode: string, operation: string, session?: string,
 *   keys: KeySet, used: {claim(id: string, expires: number): boolean|Promise<boolean>}, now?: number}} options
 *   what the receipt must be about; used.claim must be atomic over all processes of your
 *   backend, such as an INSERT with a primary key in the transaction that fulfils the order,
 *   and give true if the id was not there; rows may go after expires, in Unix seconds
 * @throws {ReceiptError}
 */
export async function verifyReceipt(token, { keys, used, now = Math.floor(Date.now() / 1000), ...want }) {
  const parts = typeof token === "string" && token.length <= 4096 ? token.split(".") : [];
  const raw = parts.map((p) => Buffer.from(p, "base64url"));
  if (parts.length !== 3 || raw.some((r, i) => r.length === 0 || r.toString("base64url") !== parts[i])) throw new ReceiptError("malformed");
  const header = object(raw[0], "malformed");
  if (Object.keys(header).length !== 3 || header.alg !== "EdDSA" || header.typ !== "sallyport-receipt+jwt") throw new ReceiptError("malformed");
  const key = await keys.find(header.kid);
  if (!ed25519Verify(null, Buffer.from(parts[0] + "." + parts[1]), key, raw[2])) throw new ReceiptError("signature");
  const receipt = checked(object(raw[1], "claims"));
  if (now >= receipt.exp) throw new ReceiptError("expired");
  if (receipt.iat > now + 60) throw new ReceiptError("early");
  expect(receipt, want);
  if (await used.claim(receipt.jti, receipt.exp) !== true) throw new ReceiptError("used");
  return receipt;
}

function object(bytes, reason) {
  try {
    const value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  } catch { /* told below */ }
  throw new ReceiptError(reason);
}

function checked(r) {
  const whole = Number.isSafeInteger(r.iat) && Number.isSafeInteger(r.exp) && r.iat > 0 && r.exp > r.iat && r.exp - r.iat <= 300;
  const fields = r.fields !== null && typeof r.fields === "object" && !Array.isArray(r.fields);
  if (r.iss !== "sallyport" || typeof r.jti !== "string" || r.jti === "" || !whole || !fields) throw new ReceiptError("claims");
  return r;
}

function expect(receipt, { site, connection, mode, operation, session }) {
  need("receipt to expect", { site, connection, mode, operation });
  if (receipt.aud !== site) throw new ReceiptError("site");
  if (receipt.connection !== connection) throw new ReceiptError("connection");
  if (receipt.mode !== mode) throw new ReceiptError("mode");
  if (receipt.operation !== operation) throw new ReceiptError("operation");
  if (session !== undefined && receipt.session !== session) throw new ReceiptError("session");
}

/**
 * Has the gate verify a receipt and use it up: no key set and no memory of your own are
 * needed. gate is the site's address, such as https://api.shop.example. If the answer is
 * lost on the way, the receipt is used up: then look the order up at the provider.
 */
export async function claimReceipt(gate, siteKey, token, want) {
  const answer = await fetch(gate.replace(/\/$/, "") + "/receipts", { method: "POST", redirect: "error", signal: AbortSignal.timeout(10_000),
    headers: { Authorization: `Bearer ${siteKey}`, "Content-Type": "application/json" }, body: JSON.stringify({ receipt: token }) });
  if (answer.status === 409) throw new ReceiptError("used");
  if (answer.status === 403) throw new ReceiptError("refused");
  if (answer.status !== 200) throw new Error(`claim receipt: the gate answered with status ${answer.status}`);
  const receipt = checked(await answer.json());
  expect(receipt, want);
  return receipt;
}

/** The gate's key set, https://GATE/.well-known/jwks.json, kept as long as the gate says. Make one and keep it. */
export class KeySet {
  #url; #keys = new Map(); #until = 0; #asked = -Infinity;

  constructor(url) { this.#url = url; }

  /** Reads the set again when it is too old, and for an unknown key at most once a minute. */
  async find(kid) {
    const now = Date.now();
    if (now > this.#until || (!this.#keys.has(kid) && now - this.#asked >= 60_000)) {
      this.#asked = now;
      await this.#read(now);
    }
    const key = this.#keys.get(kid);
    if (!key) throw new ReceiptError("key");
    return key;
  }

  async #read(now) {
    const answer = await fetch(this.#url, { redirect: "error", signal: AbortSignal.timeout(10_000) });
    if (answer.status !== 200) throw new Error(`read the gate's key set: it was answered with status ${answer.status}`);
    const { keys } = await answer.json();
    this.#keys = new Map(keys.filter((k) => k.kty === "OKP" && k.crv === "Ed25519")
      .map((k) => [k.kid, createPublicKey({ key: { kty: k.kty, crv: k.crv, x: k.x }, format: "jwk" })]));
    const age = /max-age=([0-9]{1,6})/.exec(answer.headers.get("cache-control") ?? "");
    this.#until = now + 1000 * (age ? Number(age[1]) : 60);
  }
}
