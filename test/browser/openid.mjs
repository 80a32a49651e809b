// A server-rendered site that signs its visitors in by discovery at its gate, with
// openid-client, which Auth.js is built on. Prints one line of JSON for each step.
import assert from "node:assert/strict";
import fs from "node:fs";
import https from "node:https";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const { NODE_MODULES, CHROMIUM, SITE, GATE, ISSUER, SITE_CERT, SITE_KEY, GATE_CA, SECRET } = process.env;
const { chromium } = createRequire(path.join(NODE_MODULES, "_.js"))("playwright-core");
const oidc = await import(pathToFileURL(path.join(NODE_MODULES, "openid-client/build/index.js")).href);

let failed = false;
async function step(name, work) {
  let error = "";
  try { await work(); } catch (err) { error = String(err.stack ?? err) + (err.cause ? " " + JSON.stringify(err.cause) : ""); failed = true; }
  console.log(JSON.stringify({ name, error }));
}

// The gate's name is known to this test alone, so requests to it go to loopback.
const gate = new URL(GATE), ca = fs.readFileSync(GATE_CA);
function toGate(address, init = {}) {
  const url = new URL(address);
  return new Promise((resolve, reject) => {
    const body = init.body == null ? undefined : String(init.body);
    const headers = Object.fromEntries(new Headers(init.headers));
    const request = https.request({ host: "127.0.0.1", port: gate.port, servername: gate.hostname, ca, method: init.method ?? "GET", path: url.pathname + url.search,
      headers: { ...headers, host: gate.host, ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }) } }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve(new Response([204, 304].includes(answer.statusCode) ? null : Buffer.concat(parts), { status: answer.statusCode, headers: answer.headers })));
    });
    request.on("error", reject);
    request.end(body);
  });
}
const config = await oidc.discovery(new URL(GATE), "website", SECRET, undefined, { [oidc.customFetch]: toGate });
config[oidc.customFetch] = toGate;

// The site: what a visitor is, the server knows by a cookie of its own.
const visitors = new Map();
let tries = 0, parameters = {};
async function serve(request, response) {
  const url = new URL(request.url, SITE);
  const id = /(?:^|; )shop=([a-z0-9]+)/.exec(request.headers.cookie ?? "")?.[1];
  if (url.pathname === "/login") {
    const name = "v" + ++tries, verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState(), nonce = oidc.randomNonce();
    visitors.set(name, { verifier, state, nonce });
    const to = oidc.buildAuthorizationUrl(config, { redirect_uri: SITE + "/auth/callback", scope: "openid email profile", state, nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...parameters });
    response.writeHead(302, { location: to.href, "set-cookie": `shop=${name}; Path=/; Secure; HttpOnly; SameSite=Lax` });
    return response.end();
  }
  const me = visitors.get(id);
  if (url.pathname === "/auth/callback") {
    try {
      const tokens = await oidc.authorizationCodeGrant(config, url, { pkceCodeVerifier: me.verifier, expectedState: me.state, expectedNonce: me.nonce, idTokenExpected: true });
      Object.assign(me, { callback: url.href, idToken: tokens.id_token, claims: tokens.claims(), info: await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub) });
    } catch (err) {
      if (me) me.error = err.error ?? [err.code, err.message, err.cause?.status, await err.cause?.text?.()].join(" ");
    }
    response.writeHead(302, { location: "/" });
    return response.end();
  }
  if (url.pathname === "/logout") {
    response.writeHead(302, { location: oidc.buildEndSessionUrl(config, { id_token_hint: me.idToken, post_logout_redirect_uri: SITE + "/bye" }).href });
    return response.end();
  }
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(`<!doctype html><html lang="en"><title>shop</title><p id="path">${url.pathname}</p><p id="who">${me?.claims?.email ?? "nobody"}</p><p id="error">${me?.error ?? ""}</p><a href="/login">sign in</a>`);
}
const server = https.createServer({ cert: fs.readFileSync(SITE_CERT), key: fs.readFileSync(SITE_KEY) }, (request, response) => {
  serve(request, response).catch((err) => { response.writeHead(500); response.end(String(err)); });
});
await new Promise((done) => server.listen(new URL(SITE).port, "127.0.0.1", done));

const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.test 127.0.0.1"] });
async function visitor() {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  await page.goto(SITE + "/");
  return { context, page };
}
// Whether the browser was at the identity provider while it worked; that one may know the visitor still.
async function wentToProvider(page, work) {
  let went = false;
  const look = (request) => { went ||= request.isNavigationRequest() && request.url().startsWith(ISSUER); };
  page.on("request", look);
  await work();
  page.off("request", look);
  return went;
}
const text = (page, id) => page.textContent("#" + id);
async function prove(page, name) {
  await page.waitForURL(ISSUER + "/**");
  await page.fill("input[name=login]", name);
  await page.fill("input[name=password]", "any");
  await page.click("button[type=submit]");
  await page.waitForURL((u) => u.origin === ISSUER && u.pathname.startsWith("/interaction/"));
  await page.click("button[type=submit]");
}
const arrived = (page, where = "/") => page.waitForURL(SITE + where);

const ada = await visitor();
let sub;
await step("a visitor signs in at the site's own server", async () => {
  await ada.page.click("text=sign in");
  await prove(ada.page, "ada");
  await arrived(ada.page);
  assert.equal(await text(ada.page, "error"), "");
  assert.equal(await text(ada.page, "who"), "ada@mail.example");
  const me = visitors.get("v" + tries);
  assert.equal(me.claims.iss, GATE);
  assert.equal(me.claims.aud, "website");
  assert.equal(me.claims.name, "Name of ada");
  assert.equal(me.info.email, "ada@mail.example");
  assert.equal(me.info.email_verified, true);
  assert.match(me.claims.sub, /^[A-Za-z0-9_-]{32}$/);
  assert.ok(!ada.page.url().includes("#"), "the address says how the gate's own sign-in ended");
  sub = me.claims.sub;
});
await step("once signed in, the next server needs no second sign-in", async () => {
  await ada.context.clearCookies({ name: "shop" });
  await ada.page.goto(SITE + "/");
  assert.ok(!await wentToProvider(ada.page, async () => { await ada.page.click("text=sign in"); await arrived(ada.page); }));
  assert.ok(sub);
  assert.equal(visitors.get("v" + tries).claims?.sub, sub, visitors.get("v" + tries).error);
});
await step("prompt=login wants a fresh sign-in", async () => {
  parameters = { prompt: "login" };
  assert.ok(await wentToProvider(ada.page, async () => { await ada.page.click("text=sign in"); await arrived(ada.page); }));
  parameters = {};
  assert.equal(visitors.get("v" + tries).claims?.sub, sub, visitors.get("v" + tries).error);
});
await step("a code that was used is refused", async () => {
  const me = visitors.get("v2");
  await assert.rejects(oidc.authorizationCodeGrant(config, new URL(me.callback), { pkceCodeVerifier: me.verifier, expectedState: me.state, expectedNonce: me.nonce }), (err) => err.error === "invalid_grant");
});
await step("a redirect address that the file does not name is refused at the gate", async () => {
  const to = oidc.buildAuthorizationUrl(config, { redirect_uri: "https://evil.test/auth/callback", scope: "openid", state: "s" });
  const answer = await toGate(to.href);
  assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status));
  assert.equal(answer.headers.get("location"), null);
});
await step("a wrong client secret gets no token", async () => {
  const wrong = await oidc.discovery(new URL(GATE), "website", SECRET + "x", undefined, { [oidc.customFetch]: toGate });
  wrong[oidc.customFetch] = toGate;
  const me = visitors.get("v2");
  await assert.rejects(oidc.authorizationCodeGrant(wrong, new URL(me.callback), { pkceCodeVerifier: me.verifier, expectedState: me.state, expectedNonce: me.nonce }), (err) => err.error === "invalid_client");
});
await step("what one browser began, another cannot go on with", async () => {
  const { context, page } = await visitor();
  await page.goto(GATE + "/openid/continue?request=abcdefghijkl");
  assert.match(await page.textContent("body"), /not begun in this browser/);
  await context.close();
});
await step("who turns back at the provider is told to the site", async () => {
  const { context, page } = await visitor();
  parameters = { prompt: "none" };
  await page.click("text=sign in");
  await arrived(page);
  parameters = {};
  assert.equal(await text(page, "error"), "login_required");
  await context.close();
});
await step("signing out ends it at the gate too", async () => {
  await ada.page.goto(SITE + "/login"); // signed in: comes straight back
  await arrived(ada.page);
  await ada.page.goto(SITE + "/logout");
  await arrived(ada.page, "/bye**");
  await ada.page.goto(SITE + "/");
  assert.ok(await wentToProvider(ada.page, async () => { await ada.page.click("text=sign in"); await arrived(ada.page); }), "still signed in at the gate");
});
await browser.close();
server.close();
process.exit(failed ? 1 : 0);
