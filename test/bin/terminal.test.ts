import t from 'tap'
import { createTerminal } from '../../bin/terminal.ts'
import { TestProcess } from './test-process.ts'

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
    const host = new TestProcess([], environment)
    for (const name of ['stdout', 'stderr'] as const) Object.assign(host[name], { isTTY: isTTY[name] })
    const { paint, paintTalk } = createTerminal(host, noColour)
    const coloured = [paint, paintTalk].map((one) => one('red', 'x') !== 'x')
    const words = { 'true,true': 'both', 'false,true': 'stderr', 'false,false': 'none' }
    t.equal(words[String(coloured) as keyof typeof words], expected)
  })
}
