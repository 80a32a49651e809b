// Connecting accounts in Chromium, with a real identity provider. Prints one line of JSON for each step.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const { NODE_MODULES, CHROMIUM, SITE, OTHER, GATE, ISSUER } = process.env;
const { chromium } = createRequire(path.join(NODE_MODULES, "_.js"))("playwright-core");
const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.test 127.0.0.1"] });

let failed = false;
async function step(name, work) {
  let error = "";
  try { await work(); } catch (err) { error = String(err.stack ?? err); failed = true; }
  console.log(JSON.stringify({ name, error }));
}
async function visitor(name) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  await page.goto(SITE + "/");
  await ready(page);
  if (!name) return { context, page };
  await Promise.all([page.waitForURL(ISSUER + "/**"), page.evaluate(() => window.sallyport.login("id"))]);
  await page.fill("input[name=login]", name);
  await page.fill("input[name=password]", "any");
  await page.click("button[type=submit]");
  await page.waitForURL((u) => u.origin === ISSUER && u.pathname.startsWith("/interaction/"));
  await page.click("button[type=submit]");
  await page.waitForURL(SITE + "/**");
  await ready(page);
  return { context, page };
}
const ready = (page) => page.waitForSelector("html[data-ready]");
const status = async (page) => (await page.evaluate(() => window.sallyport.connections())).map((c) => c.status).join();
const result = (page) => page.evaluate(() => window.sallyport.connectResult());
const code = (page, work) => page.evaluate(async (w) => { try { await window.sallyport[w]("id"); return "done"; } catch (err) { return err.code; } }, work);

// Goes to the provider and stands before its question.
async function away(page) {
  await Promise.all([page.waitForURL((u) => u.origin === ISSUER && u.pathname.startsWith("/interaction/")), page.evaluate(() => { window.sallyport.connect("id"); })]);
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

await step("nobody connects who is not signed in", async () => {
  const { context, page } = await visitor();
  assert.equal(await code(page, "connect"), "login_required");
  await context.close();
});
const ada = await visitor("ada"), bob = await visitor("bob");
await step("connects, and the page knows that much and no token", async () => {
  assert.equal(await status(ada.page), "none");
  const heard = [];
  ada.page.on("response", async (r) => { if (r.url().startsWith(GATE)) heard.push(r.url(), await r.text().catch(() => "")); });
  await away(ada.page);
  await ada.page.click("button[type=submit]");
  await ada.page.waitForURL(SITE + "/**");
  await ready(ada.page);
  assert.equal(await result(ada.page), "ok");
  assert.equal(ada.page.url(), SITE + "/", "the address still says how it ended");
  const [account] = await ada.page.evaluate(() => window.sallyport.connections());
  assert.equal(account.status, "connected");
  assert.ok(account.scopes.includes("offline_access") && account.scopes.includes("email"), JSON.stringify(account));
  assert.ok(!/access_token|refresh_token|id_token/.test(heard.join()), "a token reached the browser");
  assert.equal((await ada.context.cookies(GATE)).find((c) => c.name === "__Host-sallyport-connect"), undefined, "the attempt's cookie stayed");
});
await step("another visitor has none of it", async () => assert.equal(await status(bob.page), "none"));
await step("a callback that another browser began connects nobody", async () => {
  await away(ada.page);
  const stolen = await callbackOf(ada.page, ada.context);
  await bob.page.goto(stolen);
  assert.match(await bob.page.content(), /connect_state/);
  await bob.page.goto(SITE + "/");
  await ready(bob.page);
  assert.equal(await status(bob.page), "none");
  await ada.page.goto(SITE + "/");
  await ready(ada.page);
});
await step("a mixed-up issuer and a code that is used twice are refused", async () => {
  await away(ada.page);
  const callback = await callbackOf(ada.page, ada.context);
  const mixed = new URL(callback);
  mixed.searchParams.set("iss", "https://evil.example");
  const jar = (await ada.context.cookies(GATE)).find((c) => c.name === "__Host-sallyport-connect");
  await ada.page.goto(mixed.href);
  await ready(ada.page);
  assert.equal(await result(ada.page), "connect_upstream");
  await ada.context.addCookies([jar]);
  await ada.page.goto(callback);
  await ready(ada.page);
  assert.equal(await result(ada.page), "ok");
  await ada.context.addCookies([jar]);
  await ada.page.goto(callback);
  await ready(ada.page);
  assert.equal(await result(ada.page), "connect_state");
});
await step("a page of a sibling can neither begin nor list", async () => {
  const page = await ada.context.newPage();
  await page.goto(OTHER + "/");
  for (const [path, method] of [["connect/id", "POST"], ["connect/id", "DELETE"], ["connect", "GET"]]) {
    const got = await page.evaluate(([url, method]) => fetch(url, { method, credentials: "include" }).then((r) => r.text(), () => "refused"), [`${GATE}/${path}`, method]);
    assert.equal(got, "refused", `${method} ${path}`);
  }
  await page.close();
  assert.equal(await status(ada.page), "connected");
});
await step("disconnects, here and at the provider", async () => {
  assert.deepEqual(await ada.page.evaluate(() => window.sallyport.disconnect("id")), { was_connected: true, revoked: true });
  assert.equal(await status(ada.page), "none");
  assert.deepEqual(await ada.page.evaluate(() => window.sallyport.disconnect("id")), { was_connected: false, revoked: false });
});
await step("signs out, and who has signed out has no accounts to see", async () => {
  await ada.page.evaluate(() => window.sallyport.logout());
  assert.equal(await code(ada.page, "connections"), "login_required");
});

await browser.close();
process.exit(failed ? 1 : 0);
