// A certified OpenID provider on loopback. Its argument is the module of `oidc-provider`.
//
// Each line of standard input is JSON: the first says {port, jwks, clients, claims}, a later one only what changes,
// as new keys do. Each is answered with "ready", once it holds. `claims` is what a client's access tokens say beside
// the usual. It ends with its standard input, so it outlives no test.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { Provider } = await import(pathToFileURL(process.argv[2]));

// A resource is `https://<name>.example/<algorithm>`, and a token for it is signed with that algorithm.
const resource = (indicator) => ({
  audience: indicator,
  scope: 'call_logs voicemails',
  accessTokenFormat: 'jwt',
  accessTokenTTL: 3600,
  jwt: { sign: { alg: indicator.split('/').pop() } },
});

const made = ({ port, jwks, clients, claims }) => new Provider(`http://127.0.0.1:${port}`, {
  jwks,
  clients,
  scopes: ['openid', 'call_logs', 'voicemails'],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  extraTokenClaims: (_, token) => claims[token.clientId],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    dPoP: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_, __, asked) => asked,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, indicator) => resource(indicator),
    },
  },
});

let said = {};
let answer;
const server = createServer((request, response) => answer(request, response));
for await (const line of createInterface({ input: process.stdin })) {
  said = { ...said, ...JSON.parse(line) };
  answer = made(said).callback();
  if (!server.listening) {
    await once(server.listen(said.port, '127.0.0.1'), 'listening');
  }
  console.log('ready');
}
process.exit();
