/** docs/command-line.md has every verb, in the order of the table, with every form of its output. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { VERBS } from '../../bin/verbs.ts'

const text = readFileSync('docs/command-line.md', 'utf8')

t.test(
  'each verb has a section, in the order of the help, and no section is of a verb that is not there',
  async (t) => {
    const sections = [...text.matchAll(/^## (\S+)$/gm)].map(([, name]) => name)
    t.strictSame(
      sections,
      VERBS.map(({ name }) => name),
    )
  },
)

t.test('commands that it shows have flags of their verb', async (t) => {
  let count = 0
  for (const [, verb, rest] of text.matchAll(/portico ([a-z]+)([^`\n#>|]*)/g)) {
    const found = VERBS.find(({ name }) => name === verb)
    if (!found) continue
    const { command } = await found.load()
    for (const [, flag] of (rest ?? '').matchAll(/(?<=\s)(--?[a-z-]+)/g)) {
      count++
      const isThere = command.flags.some(({ name, short }) => flag === `--${name}` || flag === `-${short}`)
      t.ok(isThere || /^--help/.test(flag!), `${verb} ${flag}`)
    }
  }
  t.ok(count > 3, String(count))
})
