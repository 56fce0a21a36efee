/** The documentation is true: its links lead to files and headings, and its YAML is accepted. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { COMMON_FLAGS } from '../bin/command.ts'
import { readFlags } from '../bin/flag.ts'
import { VERBS } from '../bin/verbs.ts'
import { translateText } from './translate/manifests.ts'

const docs = readdirSync('docs')
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))
const examples = readdirSync('examples', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('examples', name))

t.test('links lead to files, and to headings where they name one', async (t) => {
  for (const file of ['README.md', 'lib/README.md', ...docs, ...examples]) {
    for (const [, link = ''] of readFileSync(file, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue
      const [path = '', heading] = link.split('#')
      const target = path === '' ? file : join(dirname(file), path)
      if (!t.ok(existsSync(target), `${file}: ${link}`) || heading === undefined) continue
      t.ok(findHeadings(readFileSync(target, 'utf8')).includes(heading), `${file}: ${link}`)
    }
  }
})

/** As GitHub names them. */
function findHeadings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
}

t.test('YAML in the documentation is accepted', async (t) => {
  let count = 0
  for (const file of ['README.md', ...docs]) {
    for (const [, text = ''] of readFileSync(file, 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```/gm)) {
      count++
      const isService = text.includes('kind: Service')
      const { diagnostics } = translateText(isService ? `${text}spec: { ports: [{ port: 80 }] }\n` : text)
      // The settings stand there alone, without the Services they name.
      const found = diagnostics.filter(({ code }) => isService || code !== 'PORTICO_REF_SERVICE_NOT_FOUND')
      t.same(
        found.map(({ message }) => message),
        [],
        file,
      )
    }
  }
  t.ok(count >= 5)
})

t.test('commands in docs/seeing-requests.md have verbs and flags that are there', async (t) => {
  let count = 0
  for (const [, line = ''] of readFileSync('docs/seeing-requests.md', 'utf8').matchAll(/^\$ portico (.*)$/gm)) {
    const [name, ...words] = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain = '']) => quoted ?? plain)
    const { command } = await VERBS.find((verb) => verb.name === name)!.load()
    t.doesNotThrow(() => readFlags(words, [...command.flags, ...COMMON_FLAGS]), line)
    count++
  }
  t.ok(count >= 10)
})
