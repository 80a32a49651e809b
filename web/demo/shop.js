// The shop's own script. The next line is all that it needs to use four providers.
import { call, Problem } from "https://api.shop.example/client.js";
import { gate, watch, showRules } from "./gate.js";

const $ = (id) => document.getElementById(id);
const euro = new Intl.NumberFormat("en-IE", { style: "currency", currency: "EUR" });
const bowl = 4800; // cents

// One click: the result is told beside the button, and what passed in the ledger.
async function act(name, work, button) {
  const box = $(name + "-result");
  button?.setAttribute("aria-busy", "true");
  try {
    await watch($(name + "-ledger"), async () => tell(box, "good", await work()));
  } catch (err) {
    if (!(err instanceof Problem)) throw err;
    tell(box, "bad", refusal(err));
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

function tell(box, kind, content) {
  box.className = "result " + kind;
  box.replaceChildren(...[content].flat());
}

function refusal(p) {
  const b = document.createElement("b");
  b.textContent = p.status === 429 ? "The gate says: slower. " : "The gate refused it. ";
  const wait = p.retryAfter ? ` Try again in ${p.retryAfter} s.` : "";
  const faults = p.faults.map((f) => f.where).join(" and ");
  return [b, sentence(faults ? `The file does not let a page choose ${faults} like that` : p.message) + wait];
}

function sentence(s) { return s.charAt(0).toUpperCase() + s.slice(1).replace(/\.?$/, "."); }

function strong(text) { const b = document.createElement("b"); b.textContent = text; return b; }

function on(id, event, handler) { $(id).addEventListener(event, handler); }
function submit(id, handler) {
  on(id, "submit", (e) => { e.preventDefault(); handler(e.submitter); });
}

// A call made by hand, as somebody would who does not use client.js: with the visit's own token,
// which stands in the tab, and a new one where there is none yet.
async function byHand(method, path, params) {
  const kept = JSON.parse(sessionStorage.getItem("sallyport:" + gate) ?? "null");
  const { token } = kept ?? await (await fetch(new URL("session", gate), { method: "POST" })).json();
  const headers = { Authorization: `Bearer ${token}` };
  if (params) headers["Content-Type"] = "application/json";
  const answer = await fetch(new URL(path, gate), { method, headers, body: params && JSON.stringify(params) });
  const document = await answer.json();
  if (!answer.ok) throw new Problem(document, answer);
  return document;
}

/* 1: pay */

on("quantity", "change", () => { $("pay-button").textContent = "Pay " + euro.format($("quantity").value * bowl / 100); });

submit("pay-form", (button) => act("pay", async () => {
  const payment = await call("payments", "create-payment-intent", {
    amount: $("quantity").value * bowl,
    receipt_email: $("email").value || undefined,
  });
  if (payment.status !== "succeeded") return ["The payment is ", strong(payment.status), "."];
  return [strong("Paid. "), `${euro.format(payment.amount / 100)}, and thank you. Your reference is ${payment.id}.`];
}, button));

on("pay-cheat", "click", (e) => act("pay", async () => {
  await byHand("POST", "api/payments/v1/payment_intents", { amount: 1, currency: "usd" });
  return "It passed, and should not have.";
}, e.currentTarget));

/* 2: an address */

submit("address-form", (button) => act("address", async () => {
  const found = await call("maps", "geocode", { address: $("where").value });
  const place = found.results?.[0];
  drawMap(place);
  if (!place) return ["The mock knows no such place. Try ", strong("Delft"), "."];
  return [strong("Found. "), place.formatted_address];
}, button));

on("address-cheat", "click", (e) => act("address", async () => {
  await byHand("GET", "api/maps/maps/api/place/details/json?place_id=ChIJm7Qk2VhR3kcRt0hX9dLw1aE");
  return "It passed, and should not have.";
}, e.currentTarget));

function drawMap(place) {
  const box = $("map");
  box.hidden = !place;
  if (!place) return;
  const { lat, lng } = place.geometry.location;
  // Streets from the digits of the place: the same place always has the same map.
  let seed = Math.round(Math.abs(lat * 1000) + Math.abs(lng * 7000));
  const next = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n; };
  const streets = [];
  for (let i = 0; i < 5; i++) streets.push(`M-10 ${20 + i * 42 + next(22)}C130 ${i * 42 + next(48)} 270 ${14 + i * 42 + next(48)} 410 ${20 + i * 42 + next(22)}`);
  for (let i = 0; i < 7; i++) { const x = 24 + i * 58 + next(20); streets.push(`M${x} -10C${x - 22 + next(44)} 70 ${x - 22 + next(44)} 130 ${x - 12 + next(24)} 210`); }
  const shore = 126 + next(34);
  const svg = svgNode("svg", { viewBox: "0 0 400 200", role: "img", "aria-label": `A map with a pin at ${place.formatted_address}` },
    svgNode("path", { class: "land", d: "M0 0h400v200H0z" }),
    svgNode("path", { class: "street", d: streets.join("") }),
    svgNode("path", { class: "main-street", d: streets[2] + streets[8] }),
    svgNode("path", { class: "water", d: `M0 ${shore + 20}C90 ${shore - 8} 150 ${shore + 46} 240 ${shore + 22}S360 ${shore + 4} 400 ${shore + 26}V200H0z` }),
    svgNode("g", { class: "pin", transform: "translate(200 96)" },
      svgNode("ellipse", { cx: 0, cy: 0, rx: 11, ry: 4, class: "pin-shade" }),
      svgNode("path", { d: "M0 0C-5 -14 -17 -20 -17 -35a17 17 0 0 1 34 0C17 -20 5 -14 0 0z" }),
      svgNode("circle", { cx: 0, cy: -35, r: 6.5 })));
  const label = document.createElement("p");
  label.textContent = `${Math.abs(lat).toFixed(4)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lng).toFixed(4)}° ${lng < 0 ? "W" : "E"}`;
  box.replaceChildren(svg, label);
}

function svgNode(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
  node.append(...children);
  return node;
}

/* 3: a code */

submit("code-form", (button) => act("code", async () => {
  const to = $("number").value.replace(/[\s()-]/g, "");
  const sent = await call("sms", "create-verification", { To: to });
  const { message } = await (await fetch("/phone?to=" + encodeURIComponent(to))).json();
  $("sms").textContent = message;
  $("sms").classList.add("new");
  $("digits").focus();
  return [strong("Sent. "), `Twilio says the code is ${sent.status}. Look at the phone.`];
}, button));

submit("check-form", (button) => act("code", async () => {
  const checked = await call("sms", "check-verification", { To: $("number").value.replace(/[\s()-]/g, ""), Code: $("digits").value.trim() });
  if (checked.status !== "approved") return [strong("Not right. "), `Twilio says: ${checked.status}.`];
  return [strong("Approved. "), "That number is yours."];
}, button));

on("code-cheat", "click", (e) => act("code", async () => {
  await byHand("POST", "api/sms/v2/Services/_/Verifications", { To: $("number").value, Channel: "call" });
  return "It passed, and should not have.";
}, e.currentTarget));

/* 4: a poll */

on("poll-load", "click", (e) => act("poll", async () => {
  const [poll, slides] = [await call("poll", "get-poll"), await call("poll", "list-slides")];
  const slide = slides.find((s) => s.type === "question");
  $("question").textContent = slide.title;
  $("choices").replaceChildren(...slide.answers.map((a, i) => choice(a.title, "choice-" + i, i === 0)));
  $("poll-form").hidden = false;
  return `${poll.title} ${poll.participantCount} people have answered.`;
}, e.currentTarget));

function choice(title, id, checked) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "choice", value: title, id, checked });
  label.append(input, " " + title);
  return label;
}

submit("poll-form", (button) => act("poll", async () => {
  const { url } = await call("poll", "generate-survey-link");
  // On your site the visitor follows the link. Here the demo is the page behind it.
  const choice = new FormData($("poll-form")).get("choice");
  await fetch("/survey", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ choice }) });
  $("poll-more").hidden = false;
  return [strong("Thank you. "), `“${choice}” went to ${new URL(url).host}, Zigpoll's side.`];
}, button));

on("poll-show", "click", (e) => act("poll", async () => {
  const { data } = await call("poll", "list-responses");
  const counts = new Map();
  for (const { response } of data) counts.set(response, (counts.get(response) ?? 0) + 1);
  const rows = [...counts].sort((a, b) => b[1] - a[1]);
  $("poll-bars").replaceChildren(table(rows, data.length));
  return `${data.length} answers, and nobody's name.`;
}, e.currentTarget));

on("poll-cheat", "click", (e) => act("poll", async () => {
  await byHand("GET", "api/poll/participants");
  return "It passed, and should not have.";
}, e.currentTarget));

function table(rows, total) {
  const list = document.createElement("dl");
  for (const [title, count] of rows) {
    const name = document.createElement("dt"), value = document.createElement("dd"), meter = document.createElement("meter");
    name.textContent = title;
    Object.assign(meter, { min: 0, max: total, value: count });
    meter.setAttribute("aria-label", title);
    value.append(meter, ` ${count}`);
    list.append(name, value);
  }
  return list;
}

showRules();
document.documentElement.dataset.ready = "true";
