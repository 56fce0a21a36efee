import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { globSync } from 'tinyglobby'
import type { Diagnostic } from '../lib/base/diagnostics.ts'
import { loadConfiguration } from '../lib/control/configuration.ts'
import { findIndentFault } from '../lib/source/indentation.ts'
import { splitDocuments } from '../lib/source/split.ts'
import { parseSyntax } from '../lib/source/syntax.ts'
import { explainPattern, isPattern } from '../lib/translate/ingress/path-pattern.ts'

async function check(text: string): Promise<readonly Diagnostic[]> {
  return (await loadConfiguration({ sources: ['-'], stdin: text, flags: {}, environment: {} })).diagnostics
}

for (const [path, help] of [
  ['/(health|users)(/.*)?$', 'write a path for each of /health, /users with pathType: Prefix'],
  ['/api(/|$)(.*)', 'write path: /api with pathType: Prefix'],
  ['/api/?(.*)', 'write path: /api with pathType: Prefix'],
  ['/api/.*', 'write path: /api with pathType: Prefix'],
  ['^/api/(v1|v2)/users$', 'write a path for each of /api/v1/users, /api/v2/users with pathType: Exact'],
  ['/favicon\\.ico$', 'write path: /favicon.ico with pathType: Exact'],
  ['/api/*', 'write path: /api with pathType: Prefix'],
  ['/(.*)', 'write path: / with pathType: Prefix'],
  ['/*', 'write path: / with pathType: Prefix'],
  ...['/(?!admin).*', '/v[0-9]+/users', '/\\d+', '/(a|(b|c))', '/a(b)?/c', '/(a|b)(c|d)(e|f)(g|h)', '/[^/]+/x'].map(
    (pattern) =>
      [
        pattern,
        'write the paths that it stands for out, each with pathType: Prefix or Exact; or have it matched as a regular expression: portico.dev/path-type: regex',
      ] as const,
  ),
] as const) {
  t.test(`the advice for the pattern ${path} matches no more than the pattern`, async (t) => {
    t.ok(isPattern(path))
    t.equal(explainPattern(path), help)
  })
}

t.test('advice on a pattern takes little time', async (t) => {
  for (const part of ['(', '(a|', '(.*)', '.*', '\\', '(a|b)', '/*']) {
    const start = performance.now()
    t.type(explainPattern(`/${part.repeat(100_000)}`), 'string')
    t.ok(performance.now() - start < 5_000, part)
  }
})

const INGRESS = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  tls: [{hosts: [a.test], secretName: shop-tls}]
  defaultBackend: {service: {name: web, port: {number: 80}}}
---
`

t.test('a Secret without a certificate is never suggested', async (t) => {
  const secret = (data: string): string =>
    `apiVersion: v1\nkind: Secret\nmetadata: {name: shop-tl}\nstringData: {${data}}\n`
  const find = async (data: string): Promise<string | undefined> =>
    (await check(INGRESS + secret(data))).find(({ code }) => code === 'PORTICO_REF_SECRET_NOT_FOUND')?.help
  t.equal(await find('password: x'), 'the default certificate is served until it exists')
  t.equal(await find('tls.crt: x, tls.key: x'), 'did you mean "shop-tl"? the default certificate is served')
})

for (const [port, help] of [
  ['{number: http}', 'write name: http'],
  ['{number: "80"}', 'write 80 without quotes'],
  ['{name: 80}', 'write number: 80'],
] as const) {
  t.test(`a port ${port} comes with the field that it belongs in`, async (t) => {
    const found = await check(INGRESS.replace('{number: 80}', port))
    t.equal(found.find(({ code }) => code === 'PORTICO_RES_FIELD_TYPE')?.help, help)
  })
}

t.test('a port name in place of its number', async (t) => {
  const [first] = await check('apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: http}]}\n')
  t.equal(first?.help, 'write the number of the port here, and name: http')
})

for (const host of [
  '<your-domain>',
  'shop.<domain>',
  `example.\${DOMAIN}`,
  'shop.$(HOST)',
  '{{ .Values.host }}',
  'CHANGE_ME',
  'REPLACE_ME.example.com',
  'YOUR_DOMAIN.com',
  '__HOST__',
  '%HOST%',
  '@host@',
]) {
  t.test(`${host} is reported as a placeholder`, async (t) => {
    const text = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {rules: [{host: ${JSON.stringify(host)}}], tls: [{hosts: [${JSON.stringify(host)}]}]}
`
    const found = await check(text)
    t.equal(found.length, 2)
    for (const { help } of found) {
      t.equal(help, 'this is a placeholder: put the value in its place, or render the template first')
    }
  })
}

const noise = Buffer.from(Array.from({ length: 2000 }, (_, index) => (index * 7919 + (index >> 3)) & 0xff))
for (const [name, bytes, message, help] of [
  ['git-crypt', Buffer.concat([Buffer.from('\0GITCRYPT\0'), noise]), /is encrypted by git-crypt$/, /git-crypt unlock/],
  ['age', Buffer.concat([Buffer.from('age-encryption.org/v1\n'), noise]), /is encrypted by age$/, /age -d/],
  ['Ansible Vault', Buffer.from('$ANSIBLE_VAULT;1.1;AES256\n3132\n'), /by Ansible Vault$/, /ansible-vault view/],
  ['data', noise, /is binary data, not text$/, /^decrypt or unpack it first, or leave it out$/],
  ['a NUL in text', Buffer.from('kind: Servi\0ce\n'), /a NUL byte is not UTF-8$/, /^save it as UTF-8/],
] as const) {
  t.test(`a file of ${name} is reported as such`, async (t) => {
    const file = join(t.testdir(), 'a.yaml')
    writeFileSync(file, bytes)
    const { diagnostics } = await loadConfiguration({ sources: [file], flags: {}, environment: {} })
    t.match(diagnostics, [{ code: 'PORTICO_FILE_BINARY', message, help }])
    t.equal(diagnostics.length, 1)
  })
}

t.test('a value encrypted by SOPS is reported as such', async (t) => {
  const [first] = await check(
    'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: "ENC[AES256_GCM,data:x,type:str]"}\n',
  )
  t.equal(first?.help, 'this is encrypted by SOPS: sops -d FILE | portico run -f -')
})

const SERVICE = 'apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n'
const NO_FIT = 'the indentation of this line fits none of the lines above it'
const NO_DASH = 'this line is indented like the items of a list, but begins with no dash'
const TOO_DEEP = 'this line is indented more than the one before it, which has a value already'
for (const [lines, place, message, help] of [
  [
    ['  ports:', '  - port: 80', '   targetPort: 80'],
    '8:4',
    NO_FIT,
    'they are indented by 0, 2 or 4 spaces, this one by 3',
  ],
  [
    ['  ports:', '    - port: 80', '   - port: 81'],
    '8:4',
    NO_FIT,
    'they are indented by 0, 2, 4 or 6 spaces, this one by 3',
  ],
  [
    ['  ports:', '      - port: 80', '    - port: 81'],
    '8:5',
    NO_FIT,
    'they are indented by 0, 2, 6 or 8 spaces, this one by 4',
  ],
  [['   ports:', '  - port: 80'], '7:3', NO_FIT, 'they are indented by 0 or 3 spaces, this one by 2'],
  [
    ['  ports:', '    - port: 80', '    name: a'],
    '8:5',
    NO_DASH,
    'indent it by 6 spaces, as the lines of the item, or begin it with "- "',
  ],
  [
    ['  type: NodePort', '    ports:', '    - port: 80'],
    '7:5',
    TOO_DEEP,
    'indent it by 2 spaces, or take that value away',
  ],
  [
    ['  type: |', '    a', '  ports: [{port: 80}]', '   x: y'],
    '9:4',
    TOO_DEEP,
    'indent it by 2 spaces, or take that value away',
  ],
  [['  type', '  ports:', '  - port: 80'], '6:3', 'a colon is missing after this key', 'end the key with a colon'],
  [
    ['  type:NodePort', '  ports:', '  - port: 80'],
    '6:3',
    'a space is missing after the colon of this key',
    'write a space between the colon and the value',
  ],
] as const) {
  t.test(`a wrong indentation is shown where it is: ${lines.join(' | ')}`, async (t) => {
    const [first, ...others] = await check(`${SERVICE}${lines.join('\n')}\n`)
    t.match(first, { code: 'PORTICO_YAML_SYNTAX', message, help })
    t.equal(`${first?.position?.line}:${first?.position?.column}`, place)
    t.notMatch(first?.position?.excerpt.slice((first.position?.column ?? 1) - 1), /^\s/, 'the caret is under a word')
    t.same(others, [])
  })
}

t.test('no line of a text that is well-formed is indented wrongly', async (t) => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const files = globSync(['examples/**/*.yaml', 'config/*.yaml', 'test/fixtures/**/*.yaml'], {
    cwd: root,
    absolute: true,
  })
  t.ok(files.length > 50)
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    for (const { start, end } of splitDocuments(text)) {
      const document = text.slice(start, end)
      if (!parseSyntax(document).error) t.equal(findIndentFault(document), undefined, `${file} ${start}`)
    }
  }
})
