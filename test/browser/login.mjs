// Sign-in in Chromium, with a real identity provider. Prints one line of JSON for each step.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const { NODE_MODULES, CHROMIUM, SITE, OTHER, GATE, ISSUER, FOREIGN } = process.env;
const { chromium } = createRequire(path.join(NODE_MODULES, "_.js"))("playwright-core");
const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.test 127.0.0.1"] });

let failed = false;
async function step(name, work) {
  let error = "";
  try { await work(); } catch (err) { error = String(err.stack ?? err); failed = true; }
  console.log(JSON.stringify({ name, error }));
}
async function visitor() {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  return { context, page };
}
const ready = (page) => page.waitForSelector("html[data-ready]");
const me = (page) => page.evaluate(() => window.sallyport.me());
const result = (page) => page.evaluate(() => window.sallyport.loginResult());
const visit = (page) => page.evaluate(() => window.sallyport.visit());
const kept = async (context, name) => (await context.cookies(GATE)).find((c) => c.name === name);

// Goes from the site to the provider and signs in there; ends where the visitor is sent back to.
async function away(page, returnTo) {
  await Promise.all([page.waitForURL(ISSUER + "/**"), page.evaluate((to) => window.sallyport.login("id", to ? { returnTo: to } : {}), returnTo)]);
}
async function fill(page, name) {
  await page.fill("input[name=login]", name);
  await page.fill("input[name=password]", "any");
  await page.click("button[type=submit]");
  await page.waitForURL((u) => u.origin === ISSUER && u.pathname.startsWith("/interaction/"));
}
async function agree(page) {
  await page.click("button[type=submit]");
}
// Agrees by hand, without following the provider's redirects, and gives the callback's address unused.
async function callbackOf(page, context) {
  const action = new URL(await page.getAttribute("form", "action"), page.url()).href;
  let to = action, answer = await context.request.post(action, { form: { prompt: "consent" }, maxRedirects: 0 });
  for (let i = 0; i < 5; i++) {
    to = new URL(answer.headers().location, to).href;
    if (to.startsWith(GATE)) return to;
    answer = await context.request.get(to, { maxRedirects: 0 });
  }
  throw new Error("the provider does not send the visitor back");
}
async function signIn(page, name, returnTo) {
  await away(page, returnTo);
  await fill(page, name);
  await agree(page);
  await page.waitForURL(SITE + "/**");
  await ready(page);
}

const ada = await visitor();
let subject, cookie;
await step("signs in, and the page knows who it is", async () => {
  await ada.page.goto(SITE + "/");
  await ready(ada.page);
  assert.equal(await me(ada.page), null);
  const before = await visit(ada.page);
  await signIn(ada.page, "ada", SITE + "/account?tab=1");
  assert.equal(ada.page.url(), SITE + "/account?tab=1", "the visitor is not where the page wanted, or the address still says how it ended");
  assert.equal(await result(ada.page), "ok");
  const who = await me(ada.page);
  assert.deepEqual(who.claims, { email: "ada@mail.example", name: "Name of ada" });
  assert.equal(who.connection, "id");
  assert.match(who.subject, /^[A-Za-z0-9_-]{32}$/);
  assert.ok(!JSON.stringify(who.subject).includes("ada"));
  assert.notEqual(await visit(ada.page), before, "the visit from before the sign-in went on (session fixation)");
  subject = who.subject;
  cookie = await kept(ada.context, "__Host-sallyport");
  assert.ok(cookie.secure && cookie.httpOnly && cookie.sameSite === "Strict" && cookie.path === "/" && !cookie.domain.startsWith("."), JSON.stringify(cookie));
  assert.equal(await kept(ada.context, "__Host-sallyport-login"), undefined, "the attempt's cookie stayed");
  assert.ok(!(await ada.page.evaluate(() => document.cookie)), "a script sees cookies");
});
await step("is still signed in after a reload, and in a new tab", async () => {
  await ada.page.evaluate(() => sessionStorage.clear());
  await ada.page.reload();
  await ready(ada.page);
  assert.equal((await me(ada.page)).subject, subject);
  const tab = await ada.context.newPage();
  await tab.goto(SITE + "/");
  await ready(tab);
  assert.equal((await me(tab)).subject, subject);
  await tab.close();
});
await step("an operation for who is signed in passes, and for others it does not", async () => {
  const answer = await ada.page.evaluate(() => window.sallyport.call("maps", "geocode", { address: "Markt, Delft" }).then(() => "passed", (e) => e.code));
  assert.equal(answer, "passed");
  const { page, context } = await visitor();
  await page.goto(SITE + "/");
  await ready(page);
  assert.equal(await page.evaluate(() => window.sallyport.call("maps", "geocode", { address: "Markt, Delft" }).then(() => "passed", (e) => e.code)), "login_required");
  await context.close();
});
await step("an unverified e-mail address is not passed on", async () => {
  const { page, context } = await visitor();
  await page.goto(SITE + "/");
  await ready(page);
  await signIn(page, "unverified-eve", SITE + "/");
  const who = await me(page);
  assert.deepEqual(who.claims, { name: "Name of unverified-eve" });
  assert.notEqual(who.subject, subject);
  await context.close();
});
await step("another origin learns nothing and signs nobody out", async () => {
  for (const origin of [FOREIGN, OTHER]) {
    const tab = await ada.context.newPage();
    await tab.goto(origin + "/");
    const seen = await tab.evaluate(async (gate) => {
      const out = [];
      for (const [method, to] of [["POST", "session"], ["POST", "logout"], ["GET", "me"]]) {
        out.push(await fetch(gate + "/" + to, { method, mode: "cors", credentials: "include" }).then((r) => "answered " + r.status, () => "refused"));
      }
      return out;
    }, GATE);
    assert.deepEqual(seen, ["refused", "refused", "refused"], origin);
    await tab.close();
  }
  assert.equal((await me(ada.page)).subject, subject);
});
await step("an open redirect is refused", async () => {
  const { page, context } = await visitor();
  for (const to of [FOREIGN + "/", "//evil.example/", "https://shop.test.evil.example/", SITE + "@evil.example/", "javascript:alert(1)", SITE.replace("https", "http") + "/", SITE + "\\@evil.example", SITE + "/%0d%0aX:%20y", OTHER + "/"]) {
    const answer = await page.goto(`${GATE}/login/id?return_to=${encodeURIComponent(to)}`);
    if (to.includes("%0d%0a")) { assert.ok(new URL(page.url()).origin === ISSUER); continue; } // on the site, and still encoded
    assert.equal(answer.status(), 400, to);
    assert.ok(page.url().startsWith(GATE), to);
  }
  assert.match(await page.textContent("main"), /return_refused/);
  await context.close();
});
await step("a stolen state: the callback of one browser does nothing in another", async () => {
  const thief = await visitor(), victim = await visitor();
  await thief.page.goto(SITE + "/");
  await ready(thief.page);
  await away(thief.page);
  await fill(thief.page, "mallory");
  const callback = await callbackOf(thief.page, thief.context);
  // Login CSRF: the victim is led to the thief's callback, to be signed in as mallory.
  let answer = await victim.page.goto(callback);
  assert.equal(answer.status(), 400);
  assert.match(await victim.page.textContent("main"), /login_state/);
  assert.equal(await kept(victim.context, "__Host-sallyport"), undefined);
  // The same with an attempt of the victim's own open: state and cookie are of two attempts.
  await victim.page.goto(SITE + "/");
  await ready(victim.page);
  await away(victim.page);
  await victim.page.goto(callback);
  await ready(victim.page);
  assert.equal(await result(victim.page), "login_state");
  assert.equal(await me(victim.page), null);
  await thief.context.close();
  await victim.context.close();
});
await step("a code counts once", async () => {
  const { page, context } = await visitor();
  await page.goto(SITE + "/");
  await ready(page);
  let callback, attempt;
  page.on("request", (r) => { if (r.url().startsWith(GATE + "/login/id/callback?")) callback = r.url(); });
  await away(page);
  attempt = await kept(context, "__Host-sallyport-login");
  assert.ok(attempt.secure && attempt.httpOnly && attempt.sameSite === "Lax" && attempt.path === "/" && attempt.expires <= Date.now() / 1000 + 601);
  await fill(page, "bob");
  await agree(page);
  await page.waitForURL(SITE + "/**");
  await ready(page);
  assert.equal(await result(page), "ok");
  await context.addCookies([attempt]); // whoever copied the browser's cookies in time
  await page.goto(callback);
  await ready(page);
  assert.equal(await result(page), "login_state");
  await context.close();
});
await step("a mixed-up issuer is refused", async () => {
  for (const change of [(u) => u.searchParams.set("iss", "https://evil.example"), (u) => u.searchParams.delete("iss")]) {
    const { page, context } = await visitor();
    await page.goto(SITE + "/");
    await ready(page);
    await away(page);
    await fill(page, "carol");
    const u = new URL(await callbackOf(page, context));
    assert.equal(u.searchParams.get("iss"), ISSUER);
    change(u);
    await page.goto(u.href);
    await page.waitForURL(SITE + "/**");
    await ready(page);
    assert.equal(await result(page), "login_upstream");
    assert.equal(await me(page), null);
    await context.close();
  }
});
await step("a visitor who declines comes back and is told so", async () => {
  const { page, context } = await visitor();
  await page.goto(SITE + "/");
  await ready(page);
  await away(page);
  await page.click("text=[ Cancel ]");
  await page.waitForURL(SITE + "/**");
  await ready(page);
  assert.equal(await result(page), "login_refused");
  await context.close();
});
await step("no frame signs anybody in", async () => {
  const { page, context } = await visitor();
  await page.goto(SITE + "/");
  await ready(page);
  const answered = page.waitForResponse((r) => r.url().startsWith(GATE + "/login/id"));
  await page.evaluate((gate) => { const f = document.createElement("iframe"); f.src = gate + "/login/id"; document.body.append(f); }, GATE);
  assert.equal((await answered).status(), 403);
  await context.close();
});
await step("signing out ends it in every tab at once, and the cookie is worth nothing afterwards", async () => {
  const tab = await ada.context.newPage();
  await tab.goto(SITE + "/");
  await ready(tab);
  assert.equal((await me(tab)).subject, subject);
  const token = await tab.evaluate(() => JSON.parse(Object.entries(sessionStorage).find(([k]) => k.startsWith("sallyport:"))[1]).token);
  await ada.page.evaluate(() => window.sallyport.logout());
  assert.equal(await me(ada.page), null);
  assert.equal(await kept(ada.context, "__Host-sallyport"), undefined);
  const status = await tab.evaluate(async ([gate, token]) => (await fetch(gate + "/me", { headers: { Authorization: "Bearer " + token } })).status, [GATE, token]);
  assert.equal(status, 401, "the other tab's token still counts");
  await ada.context.addCookies([cookie]);
  await ada.page.evaluate(() => sessionStorage.clear());
  await ada.page.reload();
  await ready(ada.page);
  assert.equal(await me(ada.page), null, "a copied cookie signs in after signing out");
});
await step("the same person has the same pseudonym again", async () => {
  await ada.context.clearCookies({ domain: "127.0.0.1" }); // the provider's own sign-in
  await signIn(ada.page, "ada", SITE + "/");
  assert.equal((await me(ada.page)).subject, subject);
});

await browser.close();
process.exit(failed ? 1 : 0);
