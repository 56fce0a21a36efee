/** What shells complete: asked of the shells themselves, by keys at a terminal. zsh and fish are passed over where they are not installed. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { COMMON_FLAGS } from '../../bin/command.ts'
import { VERBS } from '../../bin/verbs.ts'
import { SETTING_LIST } from '../../lib/settings/resolve.ts'
import { until } from '../helpers/until.ts'
import { cleanEnvironment, runPortico } from './process.ts'

const has = (program: string) => spawnSync(program, ['--version']).status === 0
const folder = t.testdir({ 'k8s.yaml': '', 'shop.yaml': '', 'notes.txt': '' })

async function writeScript(shell: string): Promise<string> {
  const { status, stdout } = await runPortico(['completion', shell])
  if (status !== 0) throw new Error(`completion ${shell} ended with ${status}`)
  const file = join(folder, `_portico.${shell}`)
  writeFileSync(file, stdout)
  return file
}

/** The candidates that bash offers for the last of these words. */
function askBash(script: string, words: readonly string[]): readonly string[] {
  const code = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _portico; printf "%s\\n" "\${COMPREPLY[@]}"`
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', code, script, 'portico', ...words], {
    cwd: folder,
    encoding: 'utf8',
  })
  if (status !== 0 || stderr !== '') throw new Error(`bash: ${stderr}`)
  return stdout.split('\n').filter((line) => line !== '')
}

/** Types at a terminal of the shell, in which `portico` prints its words in brackets; gives what it printed. */
async function type(t: Test, command: string, before: string, keys: readonly string[]): Promise<string> {
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: folder,
    env: cleanEnvironment({ TERM: 'dumb', HOME: folder }),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  // Keys that come before it reads them one by one would be characters.
  child.stdin.write(`${before}; echo rea''dy\n`)
  await until(() => output.includes('ready\r\n'))
  for (const each of keys) {
    const before = output.length
    child.stdin.write(each)
    // What the stand-in prints.
    await until(() => />\r?\n/.test(output.slice(before)))
  }
  child.stdin.end('exit\n')
  await once(child, 'close')
  return output
}

const STAND_IN = `portico() { printf '<%s>' "$@"; echo; }`

t.test('the lists that bash offers have every verb, every flag of a verb, and the values of flags', async (t) => {
  const script = await writeScript('bash')
  const names = VERBS.map(({ name }) => name)
  t.strictSame(askBash(script, ['']), names)
  for (const { name, load } of VERBS) {
    const { command } = await load()
    const offered = new Set(askBash(script, [name, '--n']))
    const wanted = [...command.flags, ...COMMON_FLAGS]
      .map((flag) => `--${flag.name}`)
      .filter((flag) => flag.startsWith('--n'))
    for (const flag of wanted) t.ok(offered.has(flag), `${name} ${flag}`)
    // `get` alone has --watch otherwise than all.
    t.strictSame(
      [...offered].filter((flag) => !wanted.includes(flag) && flag !== '--no-watch'),
      [],
      name,
    )
    const usual = askBash(script, [name, '--'])
    t.ok(usual.length <= 30, `${name}: before a letter is typed, the usual flags alone`)
  }
  const cases: readonly (readonly [words: readonly string[], expected: readonly string[]])[] = [
    [['he'], ['healthcheck', 'help']],
    [['help', 'di'], ['diff']],
    [
      ['check', '-o', ''],
      ['text', 'json', 'sarif'],
    ],
    [['check', '--output', 's'], ['sarif']],
    [['check', '--output', '=', 'j'], ['json']],
    [
      ['check', '--output', '='],
      ['text', 'json', 'sarif'],
    ],
    [['get', 'ro'], ['routes']],
    [
      ['get', 'routes', '-o', 'j'],
      ['json', 'jsonpath='],
    ],
    [['run', '-f', 'sh'], ['shop.yaml']],
    [['diff', 'k'], ['k8s.yaml']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [
      ['schema', 'route'],
      ['routepolicy', 'routetest'],
    ],
    [['run', '--log-level', 'si'], ['silent']],
    [['run', '--http-port', ''], []],
    [['run', '--set', 'admin.so'], ['admin.socket=']],
    [['nonsense', ''], []],
  ]
  for (const [words, expected] of cases) t.strictSame(askBash(script, words), expected, words.join(' '))
  t.equal(askBash(script, ['run', '--set', '']).length, SETTING_LIST.length)
})

t.test('at a terminal of bash, keys complete verbs, flags, values and files', async (t) => {
  const script = await writeScript('bash')
  const output = await type(t, 'bash --norc --noprofile -i', `${STAND_IN}; source ${script}`, [
    'portico healt\t--admin-so\tx\n',
    'portico che\t--output=sa\t -f sh\t\n',
  ])
  t.match(output, '<healthcheck><--admin-socket><x>')
  t.match(output, '<check><--output=sarif><-f><shop.yaml>')
})

t.test('at a terminal of zsh', { skip: has('zsh') ? false : 'zsh is not installed' }, async (t) => {
  const script = await writeScript('zsh')
  const before = `autoload -U compinit; compinit -D -u; ${STAND_IN}; source ${script}`
  const output = await type(t, 'zsh -f -i', before, [
    'portico healt\t--admin-so\tx\n',
    'portico che\t--output=sa\t -f sh\t\n',
    'portico schema routet\t\n',
  ])
  t.match(output, '<healthcheck><--admin-socket=x>')
  t.match(output, '<check><--output=sarif><-f><shop.yaml>')
  t.match(output, '<schema><routetest>')
})

t.test('fish offers the same', { skip: has('fish') ? false : 'fish is not installed' }, async (t) => {
  const script = await writeScript('fish')
  const ask = (line: string) => {
    const { stdout, stderr } = spawnSync(
      'fish',
      ['--no-config', '-c', `source ${script}; complete -C ${JSON.stringify(line)}`],
      {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, HOME: folder },
      },
    )
    t.equal(stderr, '')
    return stdout
      .split('\n')
      .filter((one) => one !== '')
      .map((one) => one.split('\t')[0])
  }
  t.strictSame([...ask('portico ')].sort(), VERBS.map(({ name }) => name).sort())
  t.strictSame(ask('portico check --output '), ['json', 'sarif', 'text'])
  t.strictSame(ask('portico healthcheck --admin-so'), ['--admin-socket'])
  t.strictSame(ask('portico run -f sh'), ['shop.yaml'])
  t.strictSame(ask('portico run --set admin.so'), ['admin.socket='])
  t.strictSame(ask('portico schema routet'), ['routetest'])
})

t.test('a shell that is not known is a usage error with the nearest', async (t) => {
  t.match(await runPortico(['completion', 'zs']), { status: 2, stderr: /unknown shell "zs"\n {2}did you mean zsh\?/ })
  t.match(await runPortico(['completion']), { status: 2, stderr: /SHELL is missing/ })
})
