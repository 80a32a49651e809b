// The demo in Chromium. Prints one line of JSON for each step; ends with 1 when one failed.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const { NODE_MODULES, CHROMIUM, SHOP, GATE, FOREIGN, KEYS, GUIDE, OUT } = process.env;
const require = createRequire(path.join(NODE_MODULES, "_.js"));
const { chromium } = require("playwright-core");
const axeSource = fs.readFileSync(path.join(NODE_MODULES, "axe-core", "axe.min.js"), "utf8");

const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-quic",
  "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });

const requests = [], bodies = [], consoleErrors = [];
const looks = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true },
};

async function open(look, url = SHOP + "/") {
  const context = await browser.newContext({ ...looks[look], reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("request", (r) => requests.push(r.url()));
  page.on("response", (r) => r.text().then((text) => bodies.push(text), () => {}));
  page.on("pageerror", (e) => consoleErrors.push(`${look}: ${e.message}`));
  // Chromium itself reports every refused fetch; that is what the cheat buttons are for.
  page.on("console", (m) => { if (["error", "warning"].includes(m.type()) && !/Failed to load resource.*status of 4(03|22|29)/.test(m.text())) consoleErrors.push(`${look}: ${m.text()}`); });
  await page.goto(url);
  if (url.startsWith(SHOP)) await page.waitForSelector("html[data-ready]");
  return page;
}

let failed = false;
async function step(name, work) {
  let error = "";
  try { await work(); } catch (err) { error = String(err.stack ?? err); failed = true; }
  console.log(JSON.stringify({ name, error }));
}

const result = (page, id, kind) => page.waitForSelector(`#${id}-result.${kind}`).then((n) => n.textContent());
const settled = (page) => page.waitForFunction(() => !document.querySelector(".ledger[aria-busy]"));
const ledger = (page, id) => page.locator(`#${id}-ledger details.passage[open]`);
const text = async (locator) => (await locator.allTextContents()).join("\n");
const passages = async (page) => page.evaluate(async () => (await fetch("/passed?after=0")).json());

async function pay(page) {
  await page.selectOption("#quantity", "2");
  await page.click("#pay-button");
  assert.match(await result(page, "pay", "good"), /Paid\. €96\.00.*pi_/);
  await settled(page);
}
async function findAddress(page) {
  await page.fill("#where", "Markt, Delft");
  await page.click("#address-form .main");
  assert.match(await result(page, "address", "good"), /2611 GP Delft/);
  await page.waitForSelector("#map svg .pin");
  await settled(page);
}
async function sendCode(page) {
  await page.click("#code-form .main");
  await page.waitForSelector(".sms.new");
  const [digits] = (await page.textContent("#sms")).match(/\d{6}/);
  await page.fill("#digits", digits === "000000" ? "111111" : "000000");
  await page.click("#check-form .main");
  await page.waitForFunction(() => document.querySelector("#code-result").textContent.includes("Not right"));
  await page.fill("#digits", digits);
  await page.click("#check-form .main");
  await page.waitForFunction(() => document.querySelector("#code-result").textContent.includes("Approved"));
  await settled(page);
}
async function answerPoll(page) {
  await page.click("#poll-load");
  await page.waitForSelector("#poll-form:not([hidden])");
  await page.check("text=At a market or fair");
  await page.click("#poll-form .main");
  await page.waitForSelector("#poll-more:not([hidden])");
  await page.click("#poll-show");
  await page.waitForFunction(() => document.querySelector("#poll-bars dt")?.textContent.includes("At a market"));
  await settled(page);
}
async function cheat(page, id, code) {
  const before = (await passages(page)).last;
  await page.click(`#${id}-cheat`);
  await result(page, id, "bad");
  await settled(page);
  assert.match(await text(ledger(page, id)), new RegExp("Nothing\\. It never heard of it\\..*" + code, "s"));
  assert.equal((await passages(page)).last, before, "a provider received it");
}

async function axe(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`), []);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `the page is ${wide} px wider than the window`);
}

async function picture(page, name) {
  await page.evaluate(() => scrollTo(0, 0)); // what sticks to the top belongs there
  await page.screenshot({ path: `${OUT}/${name}.png`, fullPage: true });
}

async function everything(page) {
  await pay(page); await findAddress(page); await sendCode(page); await answerPoll(page);
}

const light = await open("light");

await step("the page of another origin pays", async () => {
  assert.notEqual(new URL(SHOP).origin, new URL(GATE).origin);
  await pay(light);
  const seen = await text(ledger(light, "pay"));
  for (const want of [/amount 9600/, /Authorization Bearer sk_test_•+the key/, /currency eur\s*put in/, /client_secret/, /\d+ fields taken out/]) assert.match(seen, want);
  const got = await text(light.locator("#pay-ledger .step.browser").last());
  assert.match(got, /succeeded/);
  assert.doesNotMatch(got, /client_secret|customer/);
});
await step("it finds an address", async () => {
  await findAddress(light);
  assert.match(await text(ledger(light, "address")), /key AIza•+the key/);
});
await step("it sends and checks a code", async () => {
  await sendCode(light);
  assert.match(await text(ledger(light, "code")), /Basic AC[0-9a-f]{4}…:•+the key/);
});
await step("it answers a poll without learning who answered", async () => {
  await answerPoll(light);
  const gone = await text(light.locator("#poll-ledger .struck"));
  assert.match(await text(ledger(light, "poll").locator(".gate.out")), /[1-9]\d* of them personal/);
  for (const want of ["userAgent", "metadata.email", "participantId"]) assert.ok(gone.includes(want), `${want} is not among what was taken out: ${gone}`);
  assert.doesNotMatch(await text(light.locator("#poll-ledger .step.browser").last()), /@|Mozilla/);
});
await step("what was taken out and put in agrees with what the provider saw", async () => {
  const { passages: list } = await passages(light);
  const stripe = list.find((p) => p.connection === "payments");
  assert.deepEqual(stripe.headers.filter((h) => ["Origin", "Cookie", "Referer", "X-Forwarded-For"].includes(h.name)), []);
  assert.equal(stripe.headers.find((h) => h.name === "User-Agent").value, "Sallyport");
});
await step("light: axe finds nothing", async () => { await picture(light, "light"); await axe(light); });
await step("cheats end at the gate", async () => {
  await cheat(light, "pay", "parameter_refused");
  await cheat(light, "address", "operation_refused");
  await cheat(light, "code", "parameter_refused");
  await cheat(light, "poll", "operation_refused");
});
await step("light, refused: axe finds nothing", async () => { await picture(light, "light-refused"); await axe(light); });

await step("what the file fixes in a path cannot be chosen", async () => {
  const page = await open("light"); // a visit of its own: the limit counts refusals too
  await pay(page); // and one that has solved its challenge
  const paid = (await passages(light)).last;
  const status = await page.evaluate(async (gate) => {
    const { token } = JSON.parse(sessionStorage.getItem("sallyport:" + gate));
    const send = async (service) => (await fetch(`${gate}api/sms/v2/Services/${service}/Verifications`, { method: "POST", body: JSON.stringify({ To: "+447700900111" }),
      headers: { Authorization: "Bearer " + token, "Content-Type": "application/json" } })).status;
    return [await send("VA00000000000000000000000000000001"), await send("VA5a11909c0de5a11909c0de5a11909c0d"), await send("__"), await send("%5F")];
  }, GATE);
  assert.deepEqual(status.slice(0, 3), [422, 422, 422]);
  await page.context().close();
  assert.ok([201, 400, 422].includes(status[3]), `the percent-encoded form was answered with ${status[3]}`);
  const { passages: list, last } = await passages(light);
  for (const p of list.filter((p) => p.n > paid)) assert.equal(p.path, "/v2/Services/VA5a11909c0de5a11909c0de5a11909c0d/Verifications");
  assert.ok(last - paid <= 1);
});

for (const look of ["dark", "phone"]) {
  await step(`${look}: works, and axe finds nothing before and after`, async () => {
    const page = await open(look);
    await axe(page);
    await everything(page);
    await picture(page, look);
    await axe(page);
    await page.context().close();
  });
}

await step("the keyboard is enough to pay", async () => {
  const page = await open("light");
  const at = () => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName);
  await page.keyboard.press("Tab");
  assert.equal(await at(), "skip");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "what has the focus does not show it");
  await page.keyboard.press("Enter");
  for (let i = 0; i < 20 && await at() !== "quantity"; i++) await page.keyboard.press("Tab");
  assert.equal(await at(), "quantity");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  assert.equal(await at(), "email");
  await page.keyboard.type("ada@example.com");
  await page.keyboard.press("Tab");
  assert.equal(await at(), "pay-button");
  await page.keyboard.press("Enter");
  assert.match(await result(page, "pay", "good"), /Paid\. €96\.00/);
  assert.equal(await page.getAttribute("#pay-result", "aria-live"), "polite");
  await page.context().close();
});

await step("the guide's examples work on the shop's page", async () => {
  const examples = [...fs.readFileSync(GUIDE, "utf8").matchAll(/```js\n([\s\S]*?)```/g)].map((m) => m[1]);
  assert.ok(examples.length >= 3, `the guide has ${examples.length} examples`);
  for (const example of examples) {
    const source = example.replace("https://api.shop.example/client.js", GATE + "client.js")
      .replace(/import (\{[^}]+\}) from ("[^"]+");/, "const $1 = await import($2);");
    await light.evaluate(`(async () => {${source}})()`);
  }
});

await step("a page on a foreign origin gets nothing", async () => {
  const before = (await passages(light)).last;
  const token = await light.evaluate(() => JSON.parse(Object.values(sessionStorage)[0]).token);
  const page = await open("light", FOREIGN);
  const told = consoleErrors.length; // Chromium tells about every refusal below
  const statuses = [];
  const cdp = await page.context().newCDPSession(page), asked = new Map();
  await cdp.send("Network.enable"); // shows answers that the page is not shown
  cdp.on("Network.requestWillBeSent", (e) => asked.set(e.requestId, `${e.request.method} ${new URL(e.request.url).pathname}`));
  cdp.on("Network.responseReceivedExtraInfo", (e) => statuses.push([e.requestId, e.statusCode]));
  const outcome = await page.evaluate(async ({ gate, shop, token }) => {
    const attempt = async (work) => { try { return { read: await work() }; } catch (err) { return { refused: err.name }; } };
    const body = JSON.stringify({ amount: 4800 });
    const json = { "Content-Type": "application/json" };
    return {
      session: await attempt(async () => (await fetch(gate + "session", { method: "POST" })).text()),
      blindSession: await attempt(async () => (await fetch(gate + "session", { method: "POST", mode: "no-cors" })).text()),
      withCookies: await attempt(async () => (await fetch(gate + "session", { method: "POST", credentials: "include" })).text()),
      stolen: await attempt(async () => (await fetch(gate + "api/payments/v1/payment_intents", { method: "POST", body, headers: { ...json, Authorization: "Bearer " + token } })).text()),
      simple: await attempt(async () => (await fetch(gate + "api/payments/v1/payment_intents", { method: "POST", body, mode: "no-cors" })).text()),
      read: await attempt(async () => (await fetch(gate + "api/maps/maps/api/geocode/json?address=Delft")).text()),
      client: await attempt(async () => { await import(gate + "client.js"); return "loaded"; }),
      passed: await attempt(async () => (await fetch(shop + "/passed?after=0")).text()),
    };
  }, { gate: GATE, shop: SHOP, token });
  for (const name of ["session", "withCookies", "stolen", "read", "client", "passed"]) assert.ok(outcome[name].refused, `${name} was readable: ${outcome[name].read}`);
  for (const name of ["blindSession", "simple"]) assert.ok(outcome[name].refused || outcome[name].read === "", `${name} was readable: ${outcome[name].read}`);
  const answered = statuses.map(([id, status]) => `${asked.get(id)} ${status}`);
  assert.ok(answered.filter((s) => /^POST .*\/session 403$/.test(s)).length >= 2, answered.join("\n"));
  assert.ok(answered.some((s) => /^GET .*\/geocode\/json 403$/.test(s)), answered.join("\n"));
  assert.deepEqual(answered.filter((s) => /\/(api\/.*|session) 2\d\d$/.test(s)), []);
  assert.equal((await passages(light)).last, before, "a provider received something");
  consoleErrors.length = told;
  await page.context().close();
});

await step("no key is in anything that a browser received", async () => {
  assert.ok(bodies.length > 50, `${bodies.length} bodies`);
  for (const key of KEYS.split(",")) for (const form of [key, Buffer.from(key).toString("base64").replace(/=+$/, "").slice(2, -3), Buffer.from(key).toString("hex"), encodeURIComponent(key)]) {
    const hit = bodies.find((b) => b.includes(form));
    assert.equal(hit, undefined, "a key reached the browser");
  }
});
await step("no request left loopback", async () => {
  assert.ok(requests.length > 50, `${requests.length} requests`);
  assert.deepEqual(requests.filter((u) => !/^http:\/\/127\.0\.0\.1:\d+\//.test(u) && !/^(data|blob|about):/.test(u)), []);
});
await step("the console has no errors", async () => { assert.deepEqual(consoleErrors, []); });

await browser.close();
process.exit(failed ? 1 : 0);
