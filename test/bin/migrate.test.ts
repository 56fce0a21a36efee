import { chmodSync, cpSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { checkGolden } from './golden.ts'
import { runPortico } from './process.ts'

const fixtures = 'test/fixtures/bin/migrate'
const cwd = fixtures
const read = (name: string) => readFileSync(join(fixtures, name), 'utf8')

t.test('each annotation has its support with file, line and reason, and each file and folder a verdict', async (t) => {
  const { status, stdout, stderr } = await runPortico(['migrate', 'k8s/'], { cwd })
  t.equal(status, 1, 'something needs a hand')
  t.equal(stderr, '')
  checkGolden(t, join(fixtures, 'text.txt'), stdout)
  t.equal((await runPortico(['migrate', '-f', 'k8s/'], { cwd })).stdout, stdout, 'files may be named with -f')
})

t.test('-o markdown has tables, in which values cannot break out', async (t) => {
  const { stdout } = await runPortico(['migrate', 'k8s', '-o', 'markdown'], { cwd })
  checkGolden(t, join(fixtures, 'page.md'), stdout)
  const folder = t.testdir({
    'a|b`.yaml': read('clean.yaml').replace('8m', '"<b>|x`"'),
  })
  const page = await runPortico(['migrate', '.', '-o', 'markdown'], { cwd: folder })
  for (const line of page.stdout.split('\n').filter((one) => one.startsWith('|'))) {
    const cells = line.match(/(?<!\\)\|/g)!.length
    t.ok(cells === 7 || cells === 6, line)
    t.notMatch(line, /(?<!\\)</)
  }
})

t.test('-o json says the same for scripts', async (t) => {
  const { stdout } = await runPortico(['migrate', 'k8s', '-o', 'json'], { cwd })
  checkGolden(t, join(fixtures, 'result.json'), stdout)
  const { objects, places, exact, differs, refused, ...total } = JSON.parse(stdout)
  const annotations = objects.flatMap((one: { annotations: { support: string }[] }) => one.annotations)
  const count = (support: string) => annotations.filter((one: { support: string }) => one.support === support).length
  t.same([exact, differs, refused], [count('exact'), count('differs'), count('refused')])
  t.equal(total.verdict, places[0].verdict)
  for (const { file, line, column, annotation } of annotations) {
    t.ok(
      readFileSync(join(fixtures, file), 'utf8')
        .split('\n')
        [line - 1]!.slice(column - 1)
        .startsWith(annotation),
    )
  }
})

/** What SARIF 2.1.0 asks of a log, and what code hosts need beside it. */
const SARIF = {
  type: 'object',
  required: ['$schema', 'version', 'runs'],
  properties: {
    version: { const: '2.1.0' },
    runs: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['tool', 'results'],
        additionalProperties: false,
        properties: {
          columnKind: { enum: ['utf16CodeUnits', 'unicodeCodePoints'] },
          tool: {
            type: 'object',
            required: ['driver'],
            properties: {
              driver: {
                type: 'object',
                required: ['name', 'version', 'rules'],
                properties: {
                  rules: {
                    type: 'array',
                    uniqueItems: true,
                    items: {
                      type: 'object',
                      required: ['id', 'shortDescription', 'defaultConfiguration'],
                      properties: { defaultConfiguration: { $ref: '#/$defs/leveled' } },
                    },
                  },
                },
              },
            },
          },
          results: {
            type: 'array',
            items: {
              allOf: [{ $ref: '#/$defs/leveled' }],
              type: 'object',
              required: ['ruleId', 'ruleIndex', 'level', 'message', 'locations'],
              properties: {
                ruleIndex: { type: 'integer', minimum: 0 },
                message: { type: 'object', required: ['text'], properties: { text: { type: 'string', minLength: 1 } } },
                locations: {
                  type: 'array',
                  minItems: 1,
                  items: {
                    type: 'object',
                    required: ['physicalLocation'],
                    properties: {
                      physicalLocation: {
                        type: 'object',
                        required: ['artifactLocation', 'region'],
                        properties: {
                          artifactLocation: {
                            type: 'object',
                            required: ['uri'],
                            properties: { uri: { type: 'string', pattern: '^[^\\s|`<>]+$' } },
                          },
                          region: {
                            type: 'object',
                            required: ['startLine', 'startColumn', 'endColumn'],
                            properties: {
                              startLine: { type: 'integer', minimum: 1 },
                              startColumn: { type: 'integer', minimum: 1 },
                              endColumn: { type: 'integer', minimum: 1 },
                            },
                          },
                        },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
  $defs: {
    leveled: { type: 'object', properties: { level: { enum: ['none', 'note', 'warning', 'error'] } } },
  },
}

t.test('-o sarif is SARIF 2.1.0, with a result for each annotation that is not exact', async (t) => {
  const { stdout } = await runPortico(['migrate', 'k8s', '-o', 'sarif'], { cwd })
  const log = JSON.parse(stdout)
  const validate = new Ajv2020({ strict: false }).compile(SARIF)
  t.ok(validate(log), JSON.stringify(validate.errors))
  const [{ tool, results }] = log.runs
  for (const { ruleId, ruleIndex } of results) t.equal(tool.driver.rules[ruleIndex].id, ruleId)
  const { differs, refused } = JSON.parse((await runPortico(['migrate', 'k8s', '-o', 'json'], { cwd })).stdout)
  const count = (id: string) => results.filter(({ ruleId }: { ruleId: string }) => ruleId === id).length
  t.same([count('ingress-nginx/differs'), count('ingress-nginx/refused')], [differs, refused])
})

t.test('values that may be secret are shown nowhere', async (t) => {
  t.match(read('k8s/shop.yaml'), 'hunter2')
  for (const form of ['text', 'json', 'markdown', 'sarif']) {
    const { stdout, stderr } = await runPortico(['migrate', 'k8s', '-o', form], { cwd })
    t.notMatch(stdout + stderr, /hunter2/, form)
  }
})

t.test('stdin is read for -, a List as kubectl prints it too', async (t) => {
  const { status, stdout } = await runPortico(['migrate', '-'], { stdin: read('clean.yaml') })
  t.equal(status, 0)
  t.match(stdout, /^<stdin> {3}moves as it is\n\nThere are no Services.*\n.*\n1 Ingress, 2 annotations .*: 2 exact/m)
  const indented = read('clean.yaml')
    .split('\n')
    .map((line, index) => (line === '' ? '' : `${index === 0 ? '- ' : '  '}${line}`))
    .join('\n')
  const list = `apiVersion: v1\nkind: List\nitems:\n${indented}`
  const listed = await runPortico(['migrate', '-'], { stdin: list })
  t.match(listed.stdout, /<stdin>:9:7 {2}exact {4}proxy-body-size → body-limit/)
  const json = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [] })
  const empty = await runPortico(['migrate', '-'], { stdin: json })
  t.match(empty.stdout, '0 Ingresses, 0 annotations')
})

t.test('differences alone pass, and fail with --strict', async (t) => {
  const words = ['migrate', 'k8s/sub']
  const { status, stdout } = await runPortico(words, { cwd })
  t.match(stdout, /k8s\/sub\/cors\.yaml {3}moves with 1 difference/)
  t.equal(status, 0)
  t.equal((await runPortico([...words, '--strict'], { cwd })).status, 1)
  t.equal((await runPortico(['migrate', 'clean.yaml', '--strict'], { cwd })).status, 0)
})

t.test('a file that cannot be read is told, and the others are judged', async (t) => {
  const folder = t.testdir({ 'a.yaml': read('clean.yaml'), 'b.yaml': 'kind: Ingress\n  metadata: {' })
  const { status, stdout } = await runPortico(['migrate', '.'], { cwd: folder })
  t.equal(status, 1)
  t.match(stdout, /^b\.yaml:\d+:\d+ {2}error/m)
  t.match(stdout, /^a\.yaml {3}moves as it is$/m)
  t.match(stdout, /^b\.yaml {3}1 problem needs a hand$/m)
})

t.test('defaults are told where they are those of Portico', async (t) => {
  const plain = await runPortico(['migrate', 'clean.yaml'], { cwd })
  t.match(plain.stdout, /^What no annotation says has the defaults of Portico/m)
  const drop = await runPortico(['migrate', 'clean.yaml', '--compatibility', 'ingress-nginx'], { cwd })
  t.notMatch(drop.stdout, 'defaults of Portico')
})

t.test('without a file the command to type is offered', async (t) => {
  const { status, stderr } = await runPortico(['migrate'], { cwd })
  t.equal(status, 2)
  t.match(stderr, 'portico migrate -f k8s/')
})

t.test(
  '--write puts annotations of Portico in the place of those that are done, and nothing else changes',
  async (t) => {
    const folder = t.testdir({})
    cpSync(join(fixtures, 'k8s'), join(folder, 'k8s'), { recursive: true })
    const shop = join(folder, 'k8s/shop.yaml')
    chmodSync(shop, 0o640)
    const before = await runPortico(['migrate', 'k8s'], { cwd: folder })
    t.equal(readFileSync(shop, 'utf8'), read('k8s/shop.yaml'), 'without --write nothing is written')
    const { status, stdout, stderr } = await runPortico(['migrate', 'k8s', '--write'], { cwd: folder })
    t.equal(status, before.status)
    t.equal(stderr, '')
    checkGolden(t, join(fixtures, 'written.txt'), stdout)
    checkGolden(t, join(fixtures, 'written-shop.yaml'), readFileSync(shop, 'utf8'))
    t.equal(statSync(shop).mode & 0o777, 0o640)
    t.same(readdirSync(join(folder, 'k8s')).sort(), ['shop.yaml', 'sub'], 'nothing is left beside the files')
    for (const [, file = '', line = '', name = ''] of stdout.matchAll(/^(\S+):(\d+):\d+ {2}stays {2}([\w-]+):/gm)) {
      t.match(
        readFileSync(join(folder, file), 'utf8').split('\n')[Number(line) - 1],
        `nginx.ingress.kubernetes.io/${name}:`,
      )
    }
    const again = await runPortico(['migrate', 'k8s', '--write'], { cwd: folder })
    t.equal(readFileSync(shop, 'utf8'), read('written-shop.yaml'), 'a second time nothing changes')
    t.notMatch(again.stdout, '→')
  },
)

t.test('--write keeps links, byte order marks and CRLF', async (t) => {
  const text = `\uFEFF${read('clean.yaml').replaceAll('\n', '\r\n')}`
  const folder = t.testdir({ real: { 'a.yaml': text }, k8s: {} })
  symlinkSync('../real/a.yaml', join(folder, 'k8s/a.yaml'))
  const { status, stdout } = await runPortico(['migrate', 'k8s', '--write'], { cwd: folder })
  t.equal(status, 0)
  t.equal(stdout, 'k8s/a.yaml   2 annotations of ingress-nginx → 1 of Portico\n')
  t.ok(lstatSync(join(folder, 'k8s/a.yaml')).isSymbolicLink())
  t.equal(
    readFileSync(join(folder, 'real/a.yaml'), 'utf8'),
    text
      .replace('nginx.ingress.kubernetes.io/proxy-body-size: 8m', 'portico.dev/body-limit: 8Mi')
      .replace('    nginx.ingress.kubernetes.io/proxy-buffer-size: 16k\r\n', ''),
  )
})

t.test('--write with - prints the result, and tells the rest on stderr', async (t) => {
  const { status, stdout, stderr } = await runPortico(['migrate', '-', '--write'], { stdin: read('clean.yaml') })
  t.equal(status, 0)
  t.match(stdout, /^apiVersion: [\s\S]*portico\.dev\/body-limit: 8Mi\nspec:/)
  t.notMatch(stdout, 'nginx.ingress')
  t.match(stderr, '<stdin>   2 annotations of ingress-nginx → 1 of Portico')
  const none = await runPortico(['migrate', '-', '--write'], { stdin: stdout })
  t.equal(none.stdout, stdout)
  t.equal(none.stderr, 'there is nothing to write\n')
})

t.test('--write leaves what objects share, with the reason, and writes the rest', async (t) => {
  const shared = read('clean.yaml').replace('annotations:', 'annotations: &shared')
  const list = `apiVersion: v1
kind: List
items:
  - apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: one, annotations: &all {nginx.ingress.kubernetes.io/proxy-body-size: 8m}}
    spec: &spec {rules: [{host: one.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}
  - apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: two, annotations: *all}
    spec: {rules: [{host: two.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}
`
  const folder = t.testdir({ 'a.yaml': shared, 'b.yaml': read('clean.yaml').replaceAll('clean', 'b'), 'c.yaml': list })
  const { stdout } = await runPortico(['migrate', '.', '--write'], { cwd: folder })
  t.match(stdout, /^b\.yaml {3}2 annotations of ingress-nginx → 1 of Portico$/m)
  t.match(stdout, /^a\.yaml:6:5 {2}stays {2}proxy-body-size: it has an anchor, which others may use$/m)
  t.match(stdout, /^c\.yaml:6:\d+ {2}stays {2}proxy-body-size: it has an anchor, which others may use$/m)
  t.match(stdout, /^c\.yaml:\d+:\d+ {2}stays {2}proxy-body-size: it is an alias of what another object has$/m)
  t.equal(readFileSync(join(folder, 'a.yaml'), 'utf8'), shared)
  t.equal(readFileSync(join(folder, 'c.yaml'), 'utf8'), list)
})

t.test('--write takes files, or - alone, and prints text', async (t) => {
  const mixed = await runPortico(['migrate', '-', 'k8s', '--write'], { cwd, stdin: '' })
  t.equal(mixed.status, 2)
  t.match(mixed.stderr, '--write takes files, or - alone')
  const json = await runPortico(['migrate', 'k8s', '--write', '-o', 'json'], { cwd })
  t.equal(json.status, 2)
  t.match(json.stderr, '--write prints text')
})
