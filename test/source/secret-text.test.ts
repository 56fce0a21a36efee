import t from 'tap'
import { mayBeSecretText } from '../../lib/source/secret-text.ts'

t.test('a policy that cannot be parsed is shown, unless something in it may be a secret', async (t) => {
  const policy = (line: string) =>
    `apiVersion: portico.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: web}\nspec:\n  targetRefs: [{kind: Ingress, name: web}]\n  ${line}\n`
  for (const plain of ['rateLimit: 10/s: x', 'redirectHost: [a.test', 'timeoutsRequest: "5s'])
    t.notOk(mayBeSecretText(policy(plain)), plain)
  for (const secret of [
    'basicAuthSecret: "alice:x',
    'authUrl: http://a/?t=x: y',
    'requestHeaders: {X-Tokens: x',
    'splitCookie: [x',
    'data: {x: eHh4eHh4eHg=',
    'stringData: {x: y',
    '-----BEGIN PRIVATE KEY-----',
    'kind: GatwayConfiguration',
  ])
    t.ok(mayBeSecretText(policy(secret)), secret)
  const settings = policy('rateLimit: 1/s').replace('RoutePolicy', 'GatewayConfiguration')
  t.ok(mayBeSecretText(settings))
  t.ok(mayBeSecretText(settings.replace('kind: GatewayConfiguration\n', '')))
  t.ok(mayBeSecretText(`${settings}${policy('rateLimit: 1/s')}`))
})
