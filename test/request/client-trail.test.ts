/** What `portico explain` says of a client is what a request comes to, with a reason for each step. */
import t from 'tap'
import { createClaims, type ForwardingClaims } from '../../lib/http1/request-fields.ts'
import { traceClient } from '../../lib/request/client-trail.ts'
import { makeSettings } from '../helpers/settings.ts'

const settings = makeSettings({ trustedProxies: ['10.0.0.0/8', '2001:db8::/32'] })

type Case = readonly [name: string, peer: string, claims: Partial<ForwardingClaims>, client: string, steps: string[]]

const CASES: readonly Case[] = [
  ['nothing is said', '10.0.0.1', {}, '10.0.0.1', ['peer 10.0.0.1 client']],
  ['a mapped peer', '::ffff:10.0.0.1', {}, '10.0.0.1', ['peer 10.0.0.1 client']],
  [
    'a stranger is not believed',
    '192.0.2.1',
    { forwardedFor: '1.2.3.4', forwardedProto: 'https' },
    '192.0.2.1',
    ['peer 192.0.2.1 client', 'X-Forwarded-For 1.2.3.4 ignored', 'X-Forwarded-Proto https ignored'],
  ],
  [
    'the first that is not trusted',
    '10.0.0.1',
    { forwardedFor: '6.6.6.6, 7.7.7.7, 1.2.3.4, [2001:db8::5]:80' },
    '1.2.3.4',
    [
      'peer 10.0.0.1 trusted',
      'X-Forwarded-For 2001:db8::5 trusted',
      'X-Forwarded-For 1.2.3.4 client',
      'X-Forwarded-For 6.6.6.6, 7.7.7.7 ignored',
    ],
  ],
  [
    'all are trusted',
    '10.0.0.1',
    { forwardedFor: '10.0.0.3, 10.0.0.2' },
    '10.0.0.3',
    ['peer 10.0.0.1 trusted', 'X-Forwarded-For 10.0.0.2 trusted', 'X-Forwarded-For 10.0.0.3 client'],
  ],
  [
    'something unreadable',
    '10.0.0.1',
    { forwardedFor: '1.2.3.4, unknown, 10.0.0.2' },
    '10.0.0.2',
    [
      'peer 10.0.0.1 trusted',
      'X-Forwarded-For 10.0.0.2 client',
      'X-Forwarded-For unknown ignored',
      'X-Forwarded-For 1.2.3.4 ignored',
    ],
  ],
  [
    'nothing readable',
    '10.0.0.1',
    { forwardedFor: 'unknown' },
    '10.0.0.1',
    ['peer 10.0.0.1 client', 'X-Forwarded-For unknown ignored'],
  ],
  [
    'X-Real-IP alone',
    '10.0.0.1',
    { realIp: '1.2.3.4', forwarded: 'for=6.6.6.6' },
    '1.2.3.4',
    ['peer 10.0.0.1 trusted', 'X-Real-IP 1.2.3.4 client', 'Forwarded for=6.6.6.6 ignored'],
  ],
  [
    'an X-Real-IP that is none, and one that does not count',
    '10.0.0.1',
    { realIp: 'me' },
    '10.0.0.1',
    ['peer 10.0.0.1 client', 'X-Real-IP me ignored'],
  ],
  [
    'scheme, host and port, and those that are none',
    '10.0.0.1',
    { forwardedProto: 'http, wss', forwardedHost: 'evil.test, a.test:81', forwardedPort: '0' },
    '10.0.0.1',
    [
      'peer 10.0.0.1 client',
      'X-Forwarded-Proto https believed',
      'X-Forwarded-Host a.test:81 believed',
      'X-Forwarded-Port 0 ignored',
    ],
  ],
  [
    'Forwarded, as far as it is read',
    '10.0.0.1',
    { forwarded: 'for=6.6.6.6;host=evil.test, for=1.2.3.4;proto=https;host=a.test, for="[2001:db8::5]"' },
    '1.2.3.4',
    [
      'peer 10.0.0.1 trusted',
      'Forwarded 2001:db8::5 trusted',
      'Forwarded 1.2.3.4 client',
      'Forwarded https believed',
      'Forwarded a.test believed',
      'Forwarded for=6.6.6.6;host=evil.test ignored',
    ],
  ],
  [
    'a Forwarded that is malformed',
    '10.0.0.1',
    { forwarded: 'for=6.6.6.6, =, for=10.0.0.2' },
    '10.0.0.2',
    ['peer 10.0.0.1 trusted', 'Forwarded 10.0.0.2 client', 'Forwarded for=6.6.6.6, = ignored'],
  ],
]

for (const [name, peer, claims, client, steps] of CASES) {
  t.test(name, async (t) => {
    const trail = traceClient(peer, { ...createClaims(), ...claims }, settings)
    t.equal(trail.address, client)
    t.same(
      trail.steps.map(({ source, text, verdict }) => `${source} ${text} ${verdict}`),
      steps,
    )
    for (const { reason } of trail.steps) t.match(reason, /\w/)
  })
}

t.test('a chain that is longer than what is read says so', async (t) => {
  const forwardedFor = Array(100).fill('10.0.0.9').join(', ')
  const { address, steps } = traceClient('10.0.0.1', { ...createClaims(), forwardedFor }, settings)
  t.equal(address, '10.0.0.9')
  t.equal(steps.length, 1 + 64 + 1)
  t.match(steps.at(-1), { verdict: 'ignored', reason: 'it cannot be read to its end' })
})
