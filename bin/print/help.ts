/** Help: one screen for all verbs, and one page for each. */
import { SETTING_LIST } from '../../lib/settings.ts'
import type { Command } from '../command.ts'
import { COMMON_FLAGS } from '../command.ts'
import type { Flag } from '../flag.ts'
import { environmentOf, type SettingFlag } from '../setting-flag.ts'
import { VERBS } from '../verbs.ts'
import { printSettingValue } from './setting.ts'
import { alignColumns } from './table.ts'

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
    'Exit codes: 0 ok, 1 configuration or start failure, 2 usage, 3 unclean stop,',
    '4 no running gateway reached.',
    'Documentation: README.md and lib/README.md; every setting: config/portico.yaml',
  ].join('\n')
}

/** Everything about one verb. */
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
    ...alignColumns(
      own.map((flag) => [`  ${printFlag(flag)}`, flag.doc + (flag.repeatable ? '; repeatable' : '')]),
      2,
    ),
    ...(command.listsSettings ? printSettingFlags(settings) : []),
    ...(settings.length > 0 && !command.listsSettings
      ? ['', 'The flags of settings are those of portico run --help.']
      : []),
    '',
    'examples',
    ...alignColumns(
      command.examples.map(([line, does]) => [`  ${line}`, does]),
      3,
    ),
  ].join('\n')
}

function printSettingFlags(flags: readonly SettingFlag[]): string[] {
  return [
    '',
    'settings (flag over environment over file over default)',
    ...flags.flatMap((flag) => [
      `  ${printFlag(flag)}`,
      ...wrapText(`${flag.doc}${flag.repeatable ? ' Repeatable.' : ''}`, 72).map((line) => `        ${line}`),
      `        default ${printDefault(flag.setting)}, environment ${environmentOf(flag)}`,
    ]),
  ]
}

function printFlag({ name, short, value }: Flag): string {
  return `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`
}

function isSetting(flag: Flag): flag is SettingFlag {
  return flag.setting !== undefined
}

function printDefault(setting: string): string {
  const leaf = SETTING_LIST.find(({ name }) => name === setting)?.leaf
  return leaf ? printSettingValue(leaf, leaf.default) : ''
}

/** Lines of at most `width` columns, broken between words. */
function wrapText(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
