// What the page shows beside each click. What the browser sent is taken from fetch itself;
// what a provider received is asked of the demo, whose mocks wrote it down.

export const gate = new URL(".", "https://api.shop.example/client.js");

const realFetch = globalThis.fetch.bind(globalThis);
let taken = null; // the exchanges of the click that is being watched

globalThis.fetch = async (target, options = {}) => {
  const url = new URL(target?.url ?? target, location.href);
  if (url.origin !== gate.origin || !taken) return realFetch(target, options);
  const exchange = { method: options.method ?? "GET", url, headers: { ...options.headers }, body: options.body, began: performance.now() };
  taken.push(exchange);
  const answer = await realFetch(target, options);
  exchange.took = performance.now() - exchange.began;
  exchange.status = answer.status;
  exchange.answer = await answer.clone().json().catch(() => null);
  return answer;
};

let queue = Promise.resolve();

/** Runs one click's work and shows in the ledger what passed; clicks wait for each other. */
export function watch(ledger, work) {
  ledger.setAttribute("aria-busy", "true");
  const run = queue.then(async () => {
    const { last } = await passed("");
    const list = taken = [];
    try {
      return await work();
    } finally {
      taken = null;
      show(ledger, list, (await passed(last)).passages);
      ledger.removeAttribute("aria-busy");
    }
  });
  queue = run.catch(() => {});
  return run;
}

async function passed(after) {
  return (await realFetch("/passed?after=" + after)).json();
}

/* Drawing. */

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) if (v !== undefined && v !== false) node.setAttribute(k, v === true ? "" : v);
  node.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return node;
}

const quiet = (text) => el("span", { class: "quiet-text" }, text);
const plural = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;

function show(ledger, exchanges, passages) {
  const title = ledger.querySelector("h3");
  const calls = exchanges.filter((x) => !isSession(x));
  const visit = exchanges.find(isSession);
  const parts = [];
  if (visit) parts.push(el("p", { class: "visit" }, "First the page asked for a visit: ", el("code", {}, "POST " + visit.url.pathname), ". It lasts 15 minutes, is bound to this origin, and opens only what the file allows."));
  calls.forEach((x, i) => {
    const received = passages.find((p) => sameCall(x, p));
    const last = i === calls.length - 1;
    parts.push(el("details", { class: "passage", open: last }, head(x, received), steps(x, received)));
  });
  ledger.replaceChildren(title, ...parts);
}

function isSession(x) { return x.url.pathname === gate.pathname + "session"; }

function apiPath(x) {
  const [, connection, path] = x.url.pathname.slice(gate.pathname.length).match(/^api\/([^/]+)(\/.*)$/) ?? [];
  return { connection, path };
}

// The gate writes the account and fixed values where the browser's path has "_".
function sameCall(x, p) {
  const { connection, path } = apiPath(x);
  const a = path.split("/"), b = p.path.split("/");
  return p.connection === connection && p.method === x.method && a.length === b.length && a.every((s, i) => s === b[i] || s === "_");
}

function head(x, received) {
  const { path } = apiPath(x);
  const ok = x.status < 400;
  return el("summary", {}, el("code", {}, `${x.method} ${path}`),
    el("span", { class: ok ? "verdict ok" : "verdict stop" }, ok ? `passed, ${Math.max(1, Math.round(x.took))} ms` : received ? `failed with ${x.status}` : `refused with ${x.status}`));
}

function steps(x, p) {
  const sent = browserFields(x);
  const list = [step("browser", "The browser sent", line(x.method, x.url.pathname), rows(sent))];
  if (!p) {
    list.push(wall("The call ended here", "stopped"), step("refused", "The provider received", el("p", { class: "nothing" }, "Nothing. It never heard of it.")),
      step("browser", "The browser got", line("", `status ${x.status}`), rows(flatten(x.answer).filter((f) => !["type", "request_id"].includes(f.name)), 300)));
    return el("ol", { class: "steps" }, list);
  }
  const out = providerFields(x, p, sent);
  const got = flatten(x.answer), there = flatten(p.answer);
  const names = new Set(got.map((f) => f.name));
  const kept = there.filter((f) => names.has(f.name)), gone = there.filter((f) => !names.has(f.name));
  const added = out.filter((f) => f.added).length;
  list.push(wall(`Checked. ${plural(added, "value")} put in, one of them the key`, "in"),
    step("provider", `${p.provider} received`, pathLine(x, p), rows(out), notPassed(p)),
    step("provider", `${p.provider} answered`, line("", `status ${p.status}`), rows(kept), struck(gone, p.sensitive ?? {})),
    wall(takenOut(gone, p.sensitive ?? {}), "out"),
    step("browser", "The browser got", line("", `status ${x.status}`), rows(got)));
  return el("ol", { class: "steps" }, list);
}

function step(kind, title, ...parts) { return el("li", { class: "step " + kind }, el("h4", {}, title), ...parts); }
function wall(text, kind) { return el("li", { class: "gate " + kind }, el("span", {}, quiet("The gate: "), text)); }
function line(method, path) { return el("p", { class: "line" }, el("code", {}, (method ? method + " " : "") + path)); }

function pathLine(x, p) {
  const browser = apiPath(x).path.split("/");
  const parts = p.path.split("/").flatMap((s, i) => [i ? "/" : "", browser[i] === "_" ? el("ins", {}, s) : s]);
  return el("p", { class: "line" }, el("code", {}, p.method + " ", ...parts));
}

function rows(fields, longest = 64) {
  if (!fields.length) return el("p", { class: "nothing" }, "No fields.");
  return el("ul", { class: "rows" }, fields.map((f) => el("li", { class: f.key ? "added key" : f.added ? "added" : f.visit ? "visit-row" : undefined },
    el("code", { class: "name" }, f.name), " ", el("code", { class: "value" }, f.added || f.key ? el("ins", {}, shorten(f.value, longest)) : shorten(f.value, longest)),
    f.key ? el("span", { class: "tag" }, "the key") : f.added ? el("span", { class: "tag" }, f.note ?? "put in") : f.note ? el("span", { class: "tag plain" }, f.note) : null)));
}

const generic = (name) => name.replace(/\[\d+\]/g, "[]");

// What the contract says of a field or of what it stands in: personal, secret, or nothing.
function kindOf(name, marks) {
  const own = generic(name), path = Object.keys(marks).find((m) => own === m || own.startsWith(m + ".") || own.startsWith(m + "["));
  return path && marks[path];
}

function takenOut(gone, marks) {
  if (!gone.length) return "Nothing had to be taken out";
  const some = ["personal", "secret"].map((kind) => [kind, gone.filter((f) => kindOf(f.name, marks) === kind).length]).filter(([, n]) => n);
  return `${plural(gone.length, "field")} taken out` + (some.length ? `, ${some.map(([kind, n]) => `${n} of them ${kind}`).join(", ")}` : "");
}

function struck(fields, marks) {
  if (!fields.length) return null;
  const groups = Map.groupBy ? [...Map.groupBy(fields, (f) => generic(f.name))] : fields.map((f) => [f.name, [f]]);
  return el("ul", { class: "struck", "aria-label": "Taken out by the gate" }, groups.map(([name, group]) => el("li", {},
    el("del", {}, el("code", {}, group.length > 1 ? name : group[0].name), " ", el("code", {}, shorten(group[0].value, 26))),
    group.length > 1 ? el("span", { class: "times" }, " ×" + group.length) : null,
    kindOf(name, marks) ? el("span", { class: "times kind" }, " " + kindOf(name, marks)) : null)));
}

function notPassed(p) {
  const seen = new Set(p.headers.map((h) => h.name.toLowerCase()));
  const kept = [["origin", "origin"], ["cookie", "cookies"], ["referer", "page"], ["x-forwarded-for", "address"]].filter(([h]) => !seen.has(h)).map(([, word]) => word);
  return el("p", { class: "nothing" }, `Not told: the visitor's ${kept.join(", ")} and browser.`);
}

/* Fields. */

function browserFields(x) {
  const out = [];
  if (x.headers.Authorization) out.push({ name: "Authorization", value: x.headers.Authorization.slice(0, 18) + "…", note: "a visit, not a key", visit: true });
  for (const [name, value] of x.url.searchParams) out.push({ name, value });
  if (x.body) out.push(...flatten(JSON.parse(x.body)));
  return out;
}

function providerFields(x, p, sent) {
  const names = new Set(sent.map((f) => f.name));
  const headers = p.headers.filter((h) => !["Content-Type", "User-Agent"].includes(h.name))
    .map((h) => ({ name: h.name, value: h.value, key: h.key, added: true, note: h.name === "Idempotency-Key" ? "so that it happens once" : "put in" }));
  const fields = p.fields.map((f) => {
    const name = f.name.replace(/\[([^\]]*)\]/g, ".$1");
    return { name: f.name, value: f.value, key: f.key, added: f.key || !names.has(name) };
  });
  const ins = p.path.split("/").filter((s, i) => apiPath(x).path.split("/")[i] === "_").map((value) => ({ name: "in the path", value, added: true }));
  return [...headers, ...ins, ...fields];
}

/** Every leaf of a JSON tree: {name: "results[0].geometry.location.lat", value: "51.36"}. */
function flatten(tree, name = "") {
  if (tree === null || typeof tree !== "object") return name ? [{ name, value: text(tree) }] : [];
  const entries = Array.isArray(tree) ? tree.map((v, i) => [`${name}[${i}]`, v]) : Object.entries(tree).map(([k, v]) => [name ? `${name}.${k}` : k, v]);
  if (!entries.length) return name ? [{ name, value: Array.isArray(tree) ? "[ ]" : "{ }" }] : [];
  return entries.flatMap(([k, v]) => flatten(v, k));
}

function text(v) { return typeof v === "string" ? v || "“”" : JSON.stringify(v); }
function shorten(s, n) { s = String(s); return s.length > n ? s.slice(0, n - 1) + "…" : s; }

/** Puts the connection's own lines of the gate's file below each flow. */
export async function showRules() {
  const file = await (await realFetch("/sallyport.yaml")).text();
  for (const box of document.querySelectorAll("[data-rule]")) {
    const lines = file.split("\n"), from = lines.findIndex((l) => l === `      ${box.dataset.rule}:`);
    let to = from + 1;
    while (to < lines.length && (lines[to].startsWith("       ") || lines[to] === "")) to++;
    box.textContent = lines.slice(from, to).map((l) => l.slice(6)).join("\n").trimEnd();
  }
}
