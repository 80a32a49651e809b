// Runs the steps of a file with the helper for Node.js and prints their results.
import fs from "node:fs";
import { pathToFileURL } from "node:url";
const [, , helper, file] = process.argv;
const { signPermit, signVoucher, verifyReceipt, claimReceipt, KeySet } = await import(pathToFileURL(helper));
const taken = new Set(), sets = new Map();
const used = { claim: (id) => !taken.has(id) && Boolean(taken.add(id)) };
const keys = (url) => sets.get(url) ?? sets.set(url, new KeySet(url)).get(url);
const run = {
  permit: (s) => signPermit(s.site_key, s.given),
  voucher: (s) => signVoucher(s.site_key, s.given),
  verify: (s) => verifyReceipt(s.token, { ...s.want, keys: keys(s.jwks), used, now: s.now }),
  claim: (s) => claimReceipt(s.gate, s.site_key, s.token, s.want),
};
const results = [];
for (const step of JSON.parse(fs.readFileSync(file, "utf8"))) {
  try { results.push({ ok: await run[step.do](step) }); } catch (err) { results.push({ error: err.reason ?? String(err) }); }
}
console.log(JSON.stringify(results));
