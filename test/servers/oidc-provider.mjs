// A certified OpenID Connect provider (npm oidc-provider) for tests: whoever signs in with the form
// becomes that account, with whatever password. SETTINGS is JSON: modules, port, issuer, cert, key, clients.
import { createRequire } from "node:module";
import https from "node:https";
import path from "node:path";
import { pathToFileURL } from "node:url";

const settings = JSON.parse(process.env.SETTINGS);
const require = createRequire(path.join(settings.modules, "_.js"));
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "given_name", "family_name", "picture", "locale"] },
  async findAccount(_, id) {
    return {
      accountId: id,
      claims: async () => ({ sub: id, email: `${id}@mail.example`, email_verified: !id.startsWith("unverified"), name: `Name of ${id}`, given_name: id }),
    };
  },
  scopes: ["openid", "email", "profile", "offline_access"],
  ttl: { AccessToken: 3600, AuthorizationCode: 60, IdToken: 3600, Interaction: 600, Session: 3600, Grant: 3600, RefreshToken: 86400 },
  ...(settings.configuration ?? {}),
});
https.createServer({ cert: settings.cert, key: settings.key }, provider.callback()).listen(settings.port, "127.0.0.1", () => console.log("listening"));
