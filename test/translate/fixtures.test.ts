/**
 * Every folder of test/fixtures/translate: in.yaml, whose first line names the case, gives model.txt and
 * diagnostics.txt. `UPDATE=1` writes them anew.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import root, { type Test } from 'tap'
import { printModel } from '../../lib/report/print.ts'
import { printDiagnostics, translateText } from './manifests.ts'

const ROOT = join(process.cwd(), 'test/fixtures/translate')

function compare(t: Test, file: string, text: string): void {
  if (process.env.UPDATE === '1') {
    if (text === '') rmSync(file, { force: true })
    else writeFileSync(file, text)
  }
  t.equal(text, existsSync(file) ? readFileSync(file, 'utf8') : '', file.slice(ROOT.length + 1))
}

for (const name of readdirSync(ROOT).sort()) {
  const text = readFileSync(join(ROOT, name, 'in.yaml'), 'utf8')
  // The first line says what the case shows, with the numbers of the rules it proves.
  root.test(text.slice(2, text.indexOf('\n')), async (t) => {
    const { model, diagnostics } = translateText(text)
    compare(t, join(ROOT, name, 'model.txt'), printModel(model))
    compare(t, join(ROOT, name, 'diagnostics.txt'), printDiagnostics(diagnostics))
  })
}
