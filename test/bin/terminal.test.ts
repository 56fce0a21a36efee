import t, { type Test } from 'tap'
import { createTerminal } from '../../bin/terminal.ts'

/** Sets what the process's own streams and environment say, for one test. */
function pretend(t: Test, isTTY: { stdout: boolean; stderr: boolean }, environment: NodeJS.ProcessEnv): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const before = Object.getOwnPropertyDescriptor(process[name], 'isTTY')
    Object.defineProperty(process[name], 'isTTY', { value: isTTY[name], configurable: true, writable: true })
    t.teardown(() => {
      if (before) Object.defineProperty(process[name], 'isTTY', before)
      else Reflect.deleteProperty(process[name], 'isTTY')
    })
  }
  const kept = { ...process.env }
  for (const name of ['NO_COLOR', 'TERM']) Reflect.deleteProperty(process.env, name)
  Object.assign(process.env, environment)
  t.teardown(() => {
    process.env = kept
  })
}

const cases: readonly (readonly [string, { stdout: boolean; stderr: boolean }, NodeJS.ProcessEnv, boolean, string])[] =
  [
    ['on a terminal both have colours', { stdout: true, stderr: true }, { TERM: 'xterm' }, false, 'both'],
    ['each stream counts for itself', { stdout: false, stderr: true }, { TERM: 'xterm' }, false, 'stderr'],
    ['piped there are none', { stdout: false, stderr: false }, {}, false, 'none'],
    ['NO_COLOR takes them away', { stdout: true, stderr: true }, { NO_COLOR: '1' }, false, 'none'],
    ['an empty NO_COLOR does not', { stdout: true, stderr: true }, { NO_COLOR: '' }, false, 'both'],
    ['--no-color takes them away', { stdout: true, stderr: true }, {}, true, 'none'],
    ['a dumb terminal has none', { stdout: true, stderr: true }, { TERM: 'dumb' }, false, 'none'],
  ]

for (const [name, isTTY, environment, noColour, expected] of cases) {
  t.test(`colours: ${name}`, async (t) => {
    pretend(t, isTTY, environment)
    const { paint, paintTalk } = createTerminal(noColour)
    const coloured = [paint, paintTalk].map((one) => one('red', 'x') !== 'x')
    const words = { 'true,true': 'both', 'false,true': 'stderr', 'false,false': 'none' }
    t.equal(words[String(coloured) as keyof typeof words], expected)
  })
}
