// Writes sdkforms.json: bodies as Stripe's own SDK for Node and the library qs encode them.
// Run it in a folder that has both packages: node sdkforms.cjs > sdkforms.json
const fs = require('fs');
const version = (name) => name + ' ' + JSON.parse(fs.readFileSync('node_modules/' + name + '/package.json')).version;
const utils = require(require.resolve('stripe').replace(/stripe\.cjs\.node\.js$/, 'utils.js'));
const qs = require('qs');
const values = [
  {amount: 500, currency: 'eur', confirm: true},
  {amount: -1, ratio: 1.5, description: ''},
  {description: "a b+c&d=e;f%g[h]'!*()~-._/ü\u2028😀"},
  {metadata: {'a b': 'c', 'ü': 'd', k: ''}, types: ['card', 'ideal']},
  {metadata: null, tags: null},
  {lines: [{quantity: 2, price: {unit: 7}}, {quantity: 3}]},
  {nested: [[1, 2], [3]]},
  {metadata: {0: 'x', 2: 'y'}},
  {off_session: 'one_off', trial_end: 'now', bank: {number: '000123'}},
  {off_session: true, trial_end: 1700000000, bank: 'btok_1'},
  {types: Array.from({length: 12}, (_, i) => 't' + i)},
  {amount: Number.MAX_SAFE_INTEGER, metadata: {'__proto': 'x', constructor: 'y'}},
];
const cases = [];
for (const value of values) {
  const given = JSON.parse(JSON.stringify(value, (_, v) => (v === null ? '' : v)));
  cases.push({by: version('stripe'), style: 'brackets', value: given, body: utils.queryStringifyRequestData(value)});
  for (const arrayFormat of ['indices', 'brackets']) {
    if (arrayFormat === 'brackets' && (value.lines || value.nested)) continue;
    cases.push({by: version('qs') + ' ' + arrayFormat, style: 'brackets', value: given, body: qs.stringify(value, {arrayFormat})});
  }
}
for (const value of [{types: ['a', 'b&c'], amount: 5, description: 'a b'}, {types: ['a'], numbers: [1, 2, 3]}]) {
  cases.push({by: version('qs') + ' repeat', style: 'repeat', value, body: qs.stringify(value, {arrayFormat: 'repeat'})});
}
process.stdout.write(JSON.stringify(cases, null, 1) + '\n');
