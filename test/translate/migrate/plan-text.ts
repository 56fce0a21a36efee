/** From manifest text to what migrates of it, through the real stages. */
import { loadConfiguration } from '../../../lib/control/configuration.ts'
import type { SettingOverrides } from '../../../lib/settings/resolve.ts'
import { type Migration, planMigration } from '../../../lib/translate/migrate/migration.ts'
import type { AnnotationVerdict } from '../../../lib/translate/migrate/verdict.ts'
import { printIngresses, printService } from '../ingress/nginx/nginx-ingress.ts'

export async function planText(stdin: string, flags: SettingOverrides = {}): Promise<Migration> {
  const input = { sources: ['-'], stdin, flags, environment: {} }
  const { resources, settings, diagnostics } = await loadConfiguration(input)
  return planMigration(resources, settings, diagnostics)
}

/** The verdicts of one Ingress with these annotations, by their names without the domain. */
export async function judgeOne(
  nginx: Readonly<Record<string, string>>,
  flags: SettingOverrides = {},
): Promise<Readonly<Record<string, AnnotationVerdict>>> {
  const { objects } = await planText(`${printIngresses({ a: { nginx } })}---\n${printService('web')}`, flags)
  return Object.fromEntries(objects[0]!.annotations.map((one) => [one.annotation.split('/')[1]!, one]))
}
