/** Help: one screen for all verbs, and one page for each. */
import { measureText, padText, wrapText } from '../../lib/base/terminal-text.ts'
import { SETTING_LIST } from '../../lib/settings.ts'
import type { Command } from '../command.ts'
import { COMMON_FLAGS } from '../command.ts'
import type { Flag } from '../flag.ts'
import { environmentOf, type SettingFlag } from '../setting-flag.ts'
import { VERBS } from '../verbs.ts'
import { printSettingValue } from './setting.ts'
import { alignColumns } from './table.ts'

const WIDTH = 80

/** One screen of 80 by 40. */
export function printOverview(version: string): string {
  const verbs = alignColumns(
    VERBS.map(({ name, line }) => [`  ${name}`, line]),
    3,
  )
  return [
    `portico ${version}: run Kubernetes Ingress and Service manifests without a cluster`,
    '',
    'usage: portico VERB [flags]',
    '',
    ...verbs,
    '',
    'examples',
    '  portico demo                             a sample shop, to see what it does',
    '  portico run -f k8s/                      serve the manifests in k8s/',
    '  helm template my-app | portico run -f -  serve a chart',
    '',
    'Flags come after the verb: portico VERB --help lists them.',
    'Exit codes: 0 ok, 1 configuration or start failure, 2 usage, 3 stopped at once',
    'by a second signal, 4 get reached no running gateway.',
    'Documentation: README.md and docs/; every setting: config/portico.yaml',
  ].join('\n')
}

/** Everything about one verb, in lines of at most 80 columns. */
export function printCommandHelp(command: Command): string {
  const own = [...command.flags.filter((flag) => !isSetting(flag)), ...COMMON_FLAGS]
  const settings = command.flags.filter(isSetting).filter(({ listed }) => listed)
  return [
    `portico ${command.name}: ${command.summary}`,
    '',
    `usage: portico ${`${command.name} ${command.usage}`.trim()}`,
    ...(command.about ? ['', ...command.about] : []),
    '',
    'flags',
    ...printFlags(own),
    ...(command.listsSettings ? printSettingFlags(settings) : []),
    ...(settings.length > 0 && !command.listsSettings
      ? ['', 'The flags of settings are those of portico run --help.']
      : []),
    '',
    'examples',
    ...command.examples.flatMap(([line, does]) => [`  # ${does}`, `  ${line}`]),
  ].join('\n')
}

/** What a flag does stands beside it, and goes on below. */
function printFlags(flags: readonly Flag[]): string[] {
  const names = flags.map((flag) => `  ${printFlag(flag)}`)
  const left = Math.max(...names.map(measureText)) + 2
  return flags.flatMap(({ doc, repeatable }, index) =>
    wrapText(doc + (repeatable ? '; repeatable' : ''), WIDTH - left).map(
      (line, row) => padText(row === 0 ? (names[index] as string) : '', left) + line,
    ),
  )
}

function printSettingFlags(flags: readonly SettingFlag[]): string[] {
  return [
    '',
    'settings (flag over environment over file over default)',
    ...flags.flatMap((flag) => [
      `  ${printFlag(flag)}`,
      ...wrapText(`${flag.doc}${flag.repeatable ? ' Repeatable.' : ''}`, WIDTH - 8).map((line) => `        ${line}`),
      ...wrapText(printDefault(flag), WIDTH - 8).map((line) => `        ${line}`),
    ]),
  ]
}

function printFlag({ name, short, value }: Flag): string {
  return `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`
}

function isSetting(flag: Flag): flag is SettingFlag {
  return flag.setting !== undefined
}

/** The default is what a switch changes: it needs no word. */
function printDefault(flag: SettingFlag): string {
  const variable = environmentOf(flag)
  if (flag.to !== undefined) return `environment ${variable}=${flag.to}`
  const leaf = SETTING_LIST.find(({ name }) => name === flag.setting)?.leaf
  return `default ${leaf ? printSettingValue(leaf, leaf.default) : ''}, environment ${variable}`
}
