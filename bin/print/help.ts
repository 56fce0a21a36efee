/** Help: one screen for all verbs, and one page for each. */

import { alignColumns } from '../../lib/base/columns.ts'
import { measureText, padText, wrapText } from '../../lib/base/terminal-text.ts'
import { printSettingValue } from '../../lib/settings/print-value.ts'
import { SETTING_LIST } from '../../lib/settings/resolve.ts'
import type { Command } from '../command.ts'
import { COMMON_FLAGS } from '../command.ts'
import type { Flag } from '../flag.ts'
import { environmentOf, type SettingFlag } from '../setting-flag.ts'
import { VERBS } from '../verbs.ts'

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
    'Flags come after the verb: portico VERB --help lists the usual ones,',
    'portico VERB --help-all lists all of them.',
    'Exit codes: 0 ok, 1 configuration or start failure, or the answer is no, 2 usage',
    'error, 3 stopped at once by a second signal, 4 no running gateway reached.',
    'Documentation: docs/command-line.md, docs/; all settings: config/portico.yaml',
  ].join('\n')
}

/** The help of one verb, in lines of at most 80 columns; with every flag if `all`, or the usual ones. */
export function printCommandHelp(command: Command, all: boolean): string {
  const { firstFlags, flags } = command
  const own = flags.filter((flag) => !isSetting(flag))
  const settings = flags.filter(isSetting).filter(({ listed }) => listed)
  const first = firstFlags?.map((name) => flags.find((flag) => flag.name === name) as Flag)
  const shown = [
    ...(all || !first ? own : first),
    ...COMMON_FLAGS.filter(({ name }) => all || !first || /^help/.test(name)),
  ]
  return [
    `portico ${command.name}: ${command.summary}`,
    '',
    `usage: portico ${`${command.name} ${command.usage}`.trim()}`,
    ...(command.about ? ['', ...command.about] : []),
    '',
    'flags',
    ...printFlags(shown),
    ...(all && settings.length > 0
      ? [
          ...printSettingFlags(
            'settings (flag over environment over file over default)',
            settings.filter(({ advanced }) => !advanced),
          ),
          ...printSettingFlags(
            'advanced settings (right for almost everybody as they are)',
            settings.filter(({ advanced }) => advanced),
          ),
        ]
      : []),
    ...(all || settings.length === 0
      ? []
      : ['', `Every setting has a flag: portico ${command.name} --help-all lists them.`]),
    '',
    'examples',
    ...command.examples.flatMap(([line, does]) => [`  # ${does}`, `  ${line}`]),
  ].join('\n')
}

/** Lists flags with their explanation beside them, continued below. */
function printFlags(flags: readonly Flag[]): string[] {
  const names = flags.map((flag) => `  ${printFlag(flag)}`)
  const left = Math.max(...names.map(measureText)) + 2
  return flags.flatMap(({ doc, repeatable }, index) =>
    // Only the first sentence: config/portico.yaml has the rest.
    wrapText(doc.replace(/\.( .*)?$/, '') + (repeatable ? '; repeatable' : ''), WIDTH - left).map(
      (line, row) => padText(row === 0 ? (names[index] as string) : '', left) + line,
    ),
  )
}

function printSettingFlags(title: string, flags: readonly SettingFlag[]): string[] {
  return [
    '',
    title,
    ...flags.flatMap((flag) => [
      `  ${printFlag(flag)}`,
      ...wrapText(`${flag.doc}${printRepeatable(flag)}`, WIDTH - 8).map((line) => `        ${line}`),
      ...wrapText(printDefault(flag), WIDTH - 8).map((line) => `        ${line}`),
    ]),
  ]
}

/** Explains the notation of a list in one word, for `--set` and the environment. */
function printRepeatable({ repeatable, setting, value, separator }: SettingFlag): string {
  if (!repeatable) return ''
  const [one, other] = separator === ' ' ? ["'", "'"] : ['', '']
  return ` Repeatable, or --set ${setting}=${one}${value}${separator}${value}${other}`
}

function printFlag({ name, short, value }: Flag): string {
  return `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`
}

function isSetting(flag: Flag): flag is SettingFlag {
  return flag.setting !== undefined
}

/** The default of a setting; not for a switch, which shows it by what it changes. */
function printDefault(flag: SettingFlag): string {
  const variable = environmentOf(flag)
  if (flag.to !== undefined) return `environment ${variable}=${flag.to}`
  const setting = SETTING_LIST.find(({ name }) => name === flag.setting)
  const usual = setting ? printSettingValue(setting, setting.default) : ''
  // A list would be a single word.
  return `default ${usual.replaceAll('","', '", "')}, environment ${variable}`
}
