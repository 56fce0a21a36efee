/** Secrets and settings with a mark in every place that must not be shown, whole and damaged. */
import type { Random } from './random.ts'

/** No word of a manifest; as base64 it is as good as any. */
export const MARK = 'TOPsecretMARK'

const PEM = ['-----BEGIN PRIVATE KEY-----', `${MARK}pemAAAAAAA`, `${MARK}pemBBBBBBB`, '-----END PRIVATE KEY-----']

function lines(...all: readonly string[]): string {
  return `${all.join('\n')}\n`
}

const INGRESS = lines(
  'apiVersion: networking.k8s.io/v1',
  'kind: Ingress',
  'metadata: {name: web}',
  'spec:',
  '  tls: [{hosts: [a.test], secretName: s}]',
  '  rules:',
  '    - host: a.test',
  '      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}',
)

const PLAIN = lines(
  'apiVersion: v1',
  'kind: Secret',
  'metadata:',
  '  name: s',
  '  annotations:',
  `    kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"a":"${MARK}0"}}'`,
  `type: Opaque # once ${MARK}1`,
  `# ${MARK}2`,
  'data:',
  `  a: ${MARK}3`,
  `  b: "${MARK}4"`,
  'stringData:',
  `  c: ${MARK}5`,
  `  d: '${MARK}6'`,
  '  e: |',
  `    user = ${MARK}7`,
  `    ${MARK}8`,
  '  f: >-',
  `    ${MARK}9`,
  `  g: https://user:${MARK}10@example.test/?a=b`,
  `  h: {i: ${MARK}11}`,
  `  j: [${MARK}12, 5]`,
)

const JSON_SECRET = `${JSON.stringify({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's' },
  data: { a: `${MARK}0`, b: [`${MARK}1`] },
  stringData: { c: `${MARK}2`, d: 5 },
})}\n`

/** Texts that are well-formed, most of them with faults in what they say. */
export const SECRET_TEXTS: readonly string[] = [
  PLAIN,
  `${INGRESS}---\n${PLAIN}---\n${INGRESS}`,
  JSON_SECRET,
  JSON.stringify(JSON.parse(JSON_SECRET), undefined, 2),
  `${JSON_SECRET.trim()}${JSON.stringify({ apiVersion: 'v1', kind: 'Servic', metadata: { name: 5 } })}`,
  lines(
    'apiVersion: v1',
    'kind: List',
    'items:',
    ...PLAIN.trim()
      .split('\n')
      .map((line, at) => (at === 0 ? `- ${line}` : `  ${line}`)),
  ),
  `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"W"}},${JSON_SECRET.trim()}]}`,
  lines(
    'apiVersion: v1',
    'kind: Secret',
    `metadata: {name: s}`,
    'type: kubernetes.io/tls',
    'stringData:',
    '  tls.crt: x',
    '  tls.key: |',
    ...PEM.map((line) => `    ${line}`),
  ),
  lines(
    'apiVersion: v1',
    'kind: ConfigMap',
    'metadata: {name: c}',
    'data:',
    '  key.pem: |',
    ...PEM.map((line) => `    ${line}`),
  ),
  lines('apiVersion: v1', 'kind: ConfigMap', 'metadata: {name: c}', `data: ["${PEM.join('\\n')}"]`),
  ...['kind: Secrets', 'kind: secret', 'kind: Secert', 'type: kubernetes.io/tls', 'immutable: true'].map((kind) =>
    lines('apiVersion: v1', kind, 'metadata: {name: s}', `data: {a: ${MARK}0, b: [${MARK}1]}`, `stringData: ${MARK}2`),
  ),
  ...['data', 'stringData'].flatMap((field) =>
    [
      `${MARK}0`,
      `[${MARK}0]`,
      `{a: [${MARK}0]}`,
      `{a: {b: ${MARK}0}}`,
      `{a: *${MARK}0}`,
      `{a: !${MARK}0 x}`,
      `{a: &x ${MARK}0, b: *x, b: *y}`,
      `{a: !!int ${MARK}0}`,
      `{a: |${MARK}0}`,
      `{a: "${MARK}0\\q"}`,
      `{a: 1, a: ${MARK}0}`,
    ].map((value) => lines('apiVersion: v1', 'kind: Secret', 'metadata: {name: s}', `${field}: ${value}`)),
  ),
  lines(
    'kind: Secret',
    'apiVersion: v1',
    'metadata: {name: s}',
    'stringData:',
    '---',
    `  a: ${MARK}0`,
    `  b: [${MARK}1]`,
  ),
  lines(
    'apiVersion: portico.dev/v1alpha1',
    'kind: GatewayConfiguration',
    `admin: {token: ${MARK}0, port: x}`,
    `token: ${MARK}1`,
  ),
  lines('apiVersion: portico.dev/v1alpha1', 'kind: GatewayConfiguration', 'admin:', `  tokn: ${MARK}0`, '  port: -1'),
  lines(
    'apiVersion: portico.dev/v1alpha1',
    'kind: GatewayConfiguration',
    `admin: ${MARK}0`,
    `trustedProxies: ["${PEM.join('\\n')}"]`,
  ),
]

const SIGNS = [
  '\t',
  '"',
  "'",
  ':',
  '{',
  '}',
  '[',
  ']',
  '- ',
  '#',
  '&',
  '*',
  '!',
  '|',
  '>',
  '%',
  '@',
  '`',
  '\n',
  ' ',
  '  ',
  '\\',
  '\0',
  '\u2028',
  '---\n',
  '...\n',
  '{{ ',
  ' }}',
]

/** The text as mistakes of people and of tools leave it. */
export function damage(text: string, random: Random): string {
  let out = text
  for (let left = 1 + random.below(3); left > 0; left--) out = damageOnce(out, random)
  return out
}

function damageOnce(text: string, random: Random): string {
  const at = random.below(text.length + 1)
  const all = text.split('\n')
  const line = random.below(all.length)
  const written = all[line] as string
  switch (random.below(9)) {
    case 0:
      return text.slice(0, at) + random.pick(SIGNS) + text.slice(at)
    case 1:
      return text.slice(0, at) + text.slice(at + 1)
    case 2:
      return text.slice(0, at)
    case 3:
      return all.toSpliced(line, 1).join('\n')
    case 4:
      return all.toSpliced(line, 0, written).join('\n')
    case 5:
      return all.toSpliced(line, 1, `${random.pick([' ', '  ', '\t', '- '])}${written}`).join('\n')
    case 6:
      return all.toSpliced(line, 1, written.trimStart()).join('\n')
    case 7:
      return all.toSpliced(line, 2, `${written}${all[line + 1] ?? ''}`).join('\n')
    default:
      return text.replace(
        random.pick(['Secret', 'kind', 'stringData', 'data', '---', '"', "'", ': ']),
        random.pick(['', 'x', 'secrets']),
      )
  }
}
