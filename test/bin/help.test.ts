import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { COMMON_FLAGS } from '../../bin/command.ts'
import { readFlags } from '../../bin/flag.ts'
import { VERBS } from '../../bin/verbs.ts'
import { measureText } from '../../lib/base/terminal-text.ts'
import { environmentName, SETTING_LIST } from '../../lib/settings/resolve.ts'
import { ONE_ROUTE } from '../helpers/running-gateway.ts'
import { runPortico } from './process.ts'

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

t.test('help fits one screen of 80 by 40 and has a line for each verb', async (t) => {
  for (const words of [['help'], ['--help'], ['-h'], []]) {
    const { status, stdout, stderr } = await runPortico(words)
    t.equal(status, 0)
    t.equal(stderr, '')
    const lines = stdout.split('\n')
    t.ok(lines.length <= 40, `${lines.length} lines`)
    for (const line of lines) t.ok(measureText(line) <= 80, line)
    for (const { name } of VERBS) t.match(stdout, new RegExp(`^  ${name} `, 'm'))
  }
})

t.test('help lists no verb that is not there', async (t) => {
  const { stdout } = await runPortico(['help'])
  const listed = [...stdout.split('\nexamples')[0]!.matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1])
  t.strictSame(
    listed,
    VERBS.map(({ name }) => name),
  )
})

for (const { name, load } of VERBS) {
  t.test(`help of ${name} names each flag it has, and its examples are well-formed`, async (t) => {
    const { command } = await load()
    t.equal(command.name, name)
    const { status, stdout } = await runPortico([name, '--help'])
    t.equal(status, 0)
    t.equal(stdout, (await runPortico(['help', name])).stdout, 'help VERB says the same')
    const all = await runPortico([name, '--help-all'])
    t.equal(all.status, 0)
    const own = command.flags.filter((flag) => flag.setting === undefined)
    for (const flag of [...own, ...COMMON_FLAGS]) t.match(all.stdout, `--${flag.name}`)
    if (!command.firstFlags) for (const flag of own) t.match(stdout, `--${flag.name}`)
    t.match(stdout, '--help-all')
    for (const line of `${stdout}${all.stdout}`.split('\n')) t.ok(measureText(line) <= 80, line)
    t.ok(command.examples.length > 0)
    for (const [example] of command.examples) {
      t.match(stdout, example)
      const words = /portico ([^|>]+)/.exec(example)?.[1]?.trim().split(/\s+/)
      if (words === undefined || example.startsWith('HEALTHCHECK')) continue
      t.equal(words[0], name, example)
      t.doesNotThrow(
        () =>
          readFlags(
            words.slice(1).map((word) => word.replace(/^'|'$/g, '')),
            [...command.flags, ...COMMON_FLAGS],
          ),
        example,
      )
    }
  })
}

t.test('run --help has the ten usual flags', async (t) => {
  const { stdout } = await runPortico(['run', '--help'])
  const listed = [...stdout.split('\nexamples')[0]!.matchAll(/^ {2}(?:-\w, | {4})--([a-z-]+)/gm)].map(
    ([, name]) => name,
  )
  t.equal(listed.length, 12)
  t.same(listed.slice(-2), ['help', 'help-all'])
  for (const name of ['filename', 'config', 'endpoints', 'http-port', 'local', 'set']) t.ok(listed.includes(name), name)
  t.ok(stdout.split('\n').length < 50)
})

t.test('verbs that read manifests say how to name endpoints, and check says how to be strict', async (t) => {
  for (const verb of ['run', 'check', 'explain', 'get']) {
    t.match((await runPortico([verb, '--help'])).stdout, / --endpoints NS/, verb)
  }
  t.match((await runPortico(['check', '--help'])).stdout, /\n {6}--strict /)
})

t.test('help says how to write a list in one word, and other notations are refused', async (t) => {
  const { stdout } = await runPortico(['run', '--help-all'])
  const text = stdout.replace(/\n +/g, ' ')
  t.match(text, '--set trustedProxies=CIDR,CIDR ')
  t.match(text, "--set endpoints='NS/NAME=HOST:PORT NS/NAME=HOST:PORT' ")
  const check = (value: string) => runPortico(['check', '-f', 'examples/demo', '--set', value])
  for (const value of ['ingressClasses=["a"]', 'trustedProxies={10.0.0.0/8,192.0.2.7}', 'dns.forward=[system]']) {
    const { status, stdout } = await check(value)
    t.equal(status, 1, value)
    t.match(stdout, 'write the entries with commas between: one,two')
  }
  for (const value of ['trustedProxies=10.0.0.0/8,192.0.2.7', 'dns.forward=[::1],[::1]:53', 'dns.forward=[::1]'])
    t.equal((await check(value)).status, 0, value)
})

t.test('run --help-all gives each setting with its default and environment variable', async (t) => {
  const { stdout } = await runPortico(['run', '--help-all'])
  for (const { name, default: usual } of SETTING_LIST) {
    const words =
      typeof usual === 'boolean'
        ? `environment ${environmentName(name)}=${!usual}\n`
        : `, environment ${environmentName(name)}\n`
    // A line that would be too long goes on below.
    t.match(stdout.replace(/(environment|,)\n +(?=environment|PORTICO_)/g, '$1 '), words)
  }
  t.match(stdout, /--http-port PORT\n.*\n\s+default 8080, environment PORTICO_HTTP_PORT/)
  t.match(stdout, /--no-watch\n\s+Do not reload when a file changes\.\n\s+environment PORTICO_WATCH=false\n/)
  t.match(stdout, /--strict\n\s+Refuse .*\n(.*\n)?\s+environment PORTICO_STRICT=true\n/)
  t.match(stdout, /--drain-timeout TIME\n.*\n\s+default 9s, environment PORTICO_TIMEOUTS_DRAIN/)
})

t.test('run --help-all lists advanced settings last', async (t) => {
  const { stdout } = await runPortico(['run', '--help-all'])
  const [usual = '', advanced = ''] = stdout.split('\nadvanced settings (right for almost everybody as they are)\n')
  t.match(usual, '--http-port')
  for (const { name, advanced: isAdvanced = false, default: usually } of SETTING_LIST) {
    const variable = `environment ${environmentName(name)}${typeof usually === 'boolean' ? '=' : '\n'}`
    const place = (isAdvanced ? advanced : usual).replace(/environment\n +PORTICO_/g, 'environment PORTICO_')
    t.match(place, variable, name)
  }
})

t.test('a mistyped verb gets the nearest one, and exit code 2', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['rnu', 'did you mean run?'],
    ['chekc', 'did you mean check?'],
    ['health', 'did you mean healthcheck?'],
    ['Explain', 'did you mean explain?'],
    ['xyzzyx', `verbs: ${VERBS.map(({ name }) => name).join(', ')}`],
  ]
  for (const [word, help] of cases) {
    const { status, stdout, stderr } = await runPortico([word])
    t.equal(status, 2)
    t.equal(stdout, '')
    t.match(stderr, `unknown verb "${word}"`)
    t.match(stderr, help)
  }
})

t.test('usage errors exit 2, say what to type, and show no stack', async (t) => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [['check', '--strcit', '-f', '.'], 'did you mean --strict?'],
    [['check', 'k8s/'], 'files are named with -f: -f k8s/'],
    [['check', '-f', '.', '-o', 'jsno'], 'did you mean json?'],
    [['check', '-f'], '-f needs a value: -f FILE'],
    [['explain'], 'portico explain URL'],
    [['get', 'servces'], 'did you mean services?'],
    [['help', 'chek'], 'did you mean check?'],
    [['-f', 'k8s/'], 'portico run -f k8s/'],
    [['version', 'now'], 'one word too many'],
  ]
  for (const [words, expected] of cases) {
    const { status, stdout, stderr } = await runPortico(words)
    t.equal(status, 2, words.join(' '))
    t.equal(stdout, '')
    t.match(stderr, expected)
    t.notMatch(stderr, /^ +at /m)
  }
})

t.test('without -f the command to type is offered, with the folder that is there', async (t) => {
  const folder = t.testdir({ k8s: { 'a.yaml': '' } })
  for (const verb of ['run', 'check']) {
    const { status, stderr } = await runPortico([verb], { cwd: folder })
    t.equal(status, 2)
    t.match(stderr, `portico ${verb} -f k8s/`)
  }
  const empty = await runPortico(['check'], { cwd: t.testdir({}) })
  t.match(empty.stderr, 'portico check -f FILE-OR-FOLDER')
})

t.test('version prints the version of the package and of Node', async (t) => {
  for (const words of [['version'], ['--version'], ['-v']]) {
    const { status, stdout } = await runPortico(words)
    t.equal(status, 0)
    t.equal(stdout, `portico ${version} (node ${process.version})\n`)
  }
  t.strictSame(JSON.parse((await runPortico(['version', '-o', 'json'])).stdout), { version, node: process.version })
})

/** Runs the launcher in `folder`. */
function launch(folder: string, ...words: string[]): Promise<{ stdout: string }> {
  return promisify(execFile)(process.execPath, [join(folder, 'bin/portico'), ...words])
}

t.test('the launcher says what is missing in a clone that was not built', async (t) => {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'bin'))
  cpSync('bin/portico', join(folder, 'bin/portico'))
  cpSync('package.json', join(folder, 'package.json'))
  const run = launch(folder, 'version')
  await t.rejects(run, { code: 1, stderr: /not built yet\n.*npm install && npm run build/ })
})

t.test('the launcher starts the compiled command line', async (t) => {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'dist/bin'), { recursive: true })
  mkdirSync(join(folder, 'bin'))
  cpSync('bin/portico', join(folder, 'bin/portico'))
  cpSync('package.json', join(folder, 'package.json'))
  for (const part of ['platform', 'base']) {
    cpSync(`dist/lib/${part}`, join(folder, 'dist/lib', part), { recursive: true })
  }
  writeFileSync(join(folder, 'dist/bin/main.js'), 'console.log(process.argv.slice(2).join(" "))')
  const { stdout } = await launch(folder, 'get', 'routes')
  t.equal(stdout, 'get routes\n')
  rmSync(join(folder, 'dist'), { recursive: true })
})

/** Runs the launcher with `most` file descriptors, of which it inherits so many that are in use. */
function runWithin(most: number, inherited: number, ...words: string[]) {
  const take = `i=10; while [ $i -lt ${10 + inherited} ]; do eval "exec $i</dev/null"; i=$((i+1)); done`
  const line = `${take}; ulimit -n ${most}; exec "$0" "$@"`
  return promisify(execFile)('bash', ['-c', line, process.execPath, 'bin/portico', ...words])
}

t.test('the launcher says so where there are too few file descriptors to load all modules', async (t) => {
  await t.rejects(runWithin(127, 0, 'version'), {
    code: 1,
    stdout: '',
    stderr:
      /^portico: 127 file descriptors are too few to start, 128 are needed\n {2}raise the hard limit: ulimit -Hn /,
  })
})

t.test('with the fewest file descriptors a gateway starts', async (t) => {
  const folder = t.testdir({ 'a.yaml': ONE_ROUTE })
  const ready = join(folder, 'ready.json')
  const ports = ['--http-port', '0', '--admin-port', '0', '--no-https', '--ready-file', ready]
  const run = runWithin(128, 0, 'run', '-f', join(folder, 'a.yaml'), ...ports)
  t.teardown(() => run.child.kill('SIGKILL'))
  const ended = run.catch((error) => error)
  while (!existsSync(ready) && run.child.exitCode === null) await sleep(20)
  run.child.kill('SIGTERM')
  t.match(await ended, { stdout: /128 file descriptors: 28 client connections/, stderr: '' })
  t.equal(run.child.exitCode, 0)
})

t.test('where other descriptors use the limit up, the start ends in one line with the way out', async (t) => {
  const file = join(t.testdir({ 'a.yaml': ONE_ROUTE }), 'a.yaml')
  for (const inherited of [106, 100, 90, 80, 60]) {
    const run = runWithin(128, inherited, 'run', '-f', file, '--http-port', '0', '--admin-port', '0', '--no-https')
    t.teardown(() => run.child.kill('SIGKILL'))
    const { code, stdout, stderr } = await run.catch((error) => error)
    t.strictSame([code, stdout], [1, ''], `${inherited} are in use`)
    t.match(stderr, /^portico: no file descriptor is left: EMFILE: .*\n {2}raise the hard limit: .*\n$/)
  }
})
