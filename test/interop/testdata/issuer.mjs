// A certified OpenID provider as a token endpoint of machines: npm's oidc-provider, which a test
// starts on loopback over https. It prints its address, then a line for each token that it grants.
import { readFileSync } from 'node:fs'
import https from 'node:https'
import Provider from 'oidc-provider'

const [certificate, key, secret] = process.argv.slice(2)
const server = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`
  const client = (id, method) => ({
    client_id: id, client_secret: secret, token_endpoint_auth_method: method,
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'orders'
  })
  const provider = new Provider(issuer, {
    clients: [client('by+header', 'client_secret_basic'), client('by+form', 'client_secret_post')],
    scopes: ['orders'],
    features: { clientCredentials: { enabled: true }, introspection: { enabled: true, allowedPolicy: () => true }, devInteractions: { enabled: false } },
    ttl: { ClientCredentials: 600 }
  })
  provider.on('grant.success', (ctx) => console.log(`granted ${ctx.oidc.client.clientId} ${ctx.oidc.params.scope ?? ''}`))
  provider.on('grant.error', (ctx, error) => console.log(`refused ${error.error}`))
  server.on('request', provider.callback())
  console.log(issuer)
})
