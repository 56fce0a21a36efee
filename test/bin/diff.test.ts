import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeCertificate } from '../helpers/certificates.ts'
import { runPortico, serveHere } from './process.ts'

const HASH = '$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/'
const { certificate: certPem, key: keyPem } = await makeCertificate({ names: ['shop.test'] })
const encode = (text: string) => Buffer.from(text).toString('base64')

type Options = Readonly<{ more?: string; api?: string; hash?: string; annotations?: string; service?: string }>

/** A shop whose admin pages ask for a password. */
function write({ more = '', api = '127.0.0.1:9001', hash = HASH, annotations = '', service = 'api' }: Options): string {
  return `apiVersion: v1
kind: Service
metadata: {name: api, annotations: {portico.dev/endpoints: "${api}"}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: users}
data: {auth: ${encode(`ann:${hash}\n`)}}
---
apiVersion: v1
kind: Secret
metadata: {name: shop-tls}
type: kubernetes.io/tls
data: {tls.crt: ${encode(certPem)}, tls.key: ${encode(keyPem)}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  annotations: {portico.dev/basic-auth-secret: users${annotations}}
spec:
  tls: [{hosts: [shop.test], secretName: shop-tls}]
  rules:
    - host: shop.test
      http:
        paths:
          - {path: /api, pathType: Prefix, backend: {service: {name: ${service}, port: {number: 80}}}}
${more}`
}

const CART = '          - {path: /cart, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}\n'

function folders(t: Test, before: Options, after: Options): string {
  return t.testdir({ old: { 'shop.yaml': write(before) }, new: { 'shop.yaml': write(after) } })
}

t.test('two folders: what came, changed and went, in the words of a reload; exit code 1', async (t) => {
  const cwd = folders(
    t,
    { api: '127.0.0.1:9001, 127.0.0.1:9002' },
    { more: CART, annotations: ', portico.dev/tries: "3"' },
  )
  const { status, stdout, stderr } = await runPortico(['diff', 'old', 'new'], { cwd })
  t.equal(status, 1)
  t.strictSame(stdout.trimEnd().split('\n'), [
    '+ shop.test/cart  Prefix → default/api:80 → 127.0.0.1:9001',
    '~ shop.test/api  Prefix endpoints 127.0.0.1:9001, 127.0.0.1:9002 → 127.0.0.1:9001',
    '~ shop.test/api  Prefix settings as for all → tries=3',
  ])
  t.equal(stderr, '3 changes\n')
  const back = await runPortico(['diff', 'new', 'old'], { cwd })
  t.match(back.stdout, '- shop.test/cart  Prefix → default/api:80\n')
})

t.test(
  'nothing differs, whatever the names of files and the order of lines: exit code 0, and nothing on stdout',
  async (t) => {
    const cwd = t.testdir({ old: { 'shop.yaml': write({}) }, new: { 'other.yaml': `# moved\n${write({})}` } })
    t.strictSame(await runPortico(['diff', 'old', 'new'], { cwd }), {
      status: 0,
      stdout: '',
      stderr: 'no difference\n',
    })
    const markdown = await runPortico(['diff', 'old/shop.yaml', 'new', '-o', 'markdown'], { cwd })
    t.equal(markdown.stdout, '**Portico:** no difference\n')
  },
)

t.test('problems that come and go, settings, and passwords, whose text is never printed', async (t) => {
  const other = '$apr1$abcdefgh$030j6I3f1zNCF9tihqdd11'
  const cwd = folders(t, { service: 'gone' }, { hash: other })
  writeFileSync(
    join(cwd, 'new/portico.yaml'),
    'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\ntimeouts: {connect: 2s}\nhttp: {port: 8088}\n',
  )
  const { status, stdout } = await runPortico(['diff', 'old', 'new'], { cwd })
  t.equal(status, 1)
  t.match(stdout, /^~ shop\.test\/api {2}Prefix default\/gone:80 \(503 .*\) → default\/api:80$/m)
  t.match(stdout, '~ setting http.port 8080 → 8088 (after a restart)\n~ setting timeouts.connect 5s → 2s\n')
  t.match(stdout, /^- error {2}old\/shop\.yaml:\d+:\d+ {2}PORTICO_REF_SERVICE_NOT_FOUND {2}.*"gone"/m)
  writeFileSync(join(cwd, 'old/shop.yaml'), write({}))
  const secret = await runPortico(['diff', 'old', 'new/shop.yaml'], { cwd })
  t.match(
    secret.stdout,
    /^~ shop\.test\/api {2}Prefix secrets of filters basic-auth [0-9a-f]{8} → basic-auth [0-9a-f]{8}$/m,
  )
  t.notMatch(secret.stdout, 'apr1')
})

t.test('json for scripts; markdown whose block no text can end', async (t) => {
  const cwd = folders(t, {}, { more: CART.replace('/cart', '/a```b') })
  const json = await runPortico(['diff', 'old', 'new', '-o', 'json'], { cwd })
  t.equal(json.status, 1)
  t.match(JSON.parse(json.stdout), {
    changes: [{ type: 'added', subject: 'shop.test/a```b  Prefix', detail: '→ default/api:80 → 127.0.0.1:9001' }],
    settings: [],
    diagnostics: { new: [], gone: [] },
  })
  const { stdout } = await runPortico(['diff', 'old', 'new', '-o', 'markdown'], { cwd })
  t.equal(
    stdout,
    '**Portico:** 1 change\n\n````diff\n+ shop.test/a```b  Prefix → default/api:80 → 127.0.0.1:9001\n````\n',
  )
})

t.test('what cannot be compared is exit code 2, and a gateway that is not there 4', async (t) => {
  const cwd = folders(t, {}, {})
  writeFileSync(
    join(cwd, 'bad.yaml'),
    'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nhttp: {port: x}\n',
  )
  for (const words of [['old', 'nowhere'], ['old'], [], ['old', 'bad.yaml'], ['old', 'new', '-f', 'new']]) {
    t.equal((await runPortico(['diff', ...words], { cwd })).status, 2, words.join(' '))
  }
  const { status, stderr } = await runPortico(['diff', '-f', 'new', '--admin-port', '1'], { cwd })
  t.equal(status, 4)
  t.match(stderr, /no running gateway reached.*\n.*portico diff OLD NEW/)
})

t.test(
  'files against the running gateway: as it reads them, with its flags, environment and settings file',
  async (t) => {
    const cwd = folders(t, {}, { more: CART })
    mkdirSync(join(cwd, 'run'))
    writeFileSync(
      join(cwd, 'run/portico.yaml'),
      'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nupstream: {tries: 4}\nadmin: {token: very-secret-token}\n',
    )
    const environment = { PORTICO_TIMEOUTS_CONNECT: '3s' }
    const words = ['run', '-f', 'old', '-c', 'run/portico.yaml', '--limits-body-bytes', '2Mi', '--no-watch']
    const { ports } = await serveHere(t, words, { cwd, environment })
    const admin = ['--admin-port', String(ports.admin)]
    const token = { environment: { PORTICO_ADMIN_TOKEN: 'very-secret-token' } }
    t.strictSame(await runPortico(['diff', '-f', 'old', ...admin], { cwd, ...token }), {
      status: 0,
      stdout: '',
      stderr: 'no difference\n',
    })
    const changed = await runPortico(['diff', '-f', 'new', '--limits-body-bytes', '1Mi', ...admin], { cwd, ...token })
    t.equal(changed.status, 1)
    t.equal(
      changed.stdout,
      '+ shop.test/cart  Prefix → default/api:80 → 127.0.0.1:9001\n~ setting limits.bodyBytes 2Mi → 1Mi\n',
    )
    const refused = await runPortico(['diff', '-f', 'new', ...admin], { cwd })
    t.equal(refused.status, 4)
    t.match(refused.stderr, 'asks for its token')

    const answer = await fetch(`http://127.0.0.1:${ports.admin}/api/v1/outline`, {
      headers: { authorization: 'Bearer very-secret-token' },
    })
    const text = await answer.text()
    t.match(text, 'default/shop-tls', 'the certificate is told by its name')
    for (const secret of ['very-secret-token', 'apr1', 'PRIVATE KEY', keyPem.split('\n')[1]!])
      t.notOk(text.includes(secret), secret)
    t.notMatch(text, /secrets of filters ","value/, 'not even a mark of a password')
    t.notMatch(text, readFileSync(join(cwd, 'old/shop.yaml'), 'utf8').match(/auth: (\S+)\}/)![1]!)
  },
)
