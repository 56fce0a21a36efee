/** Manifests in Portico's own annotations, which must come to the same model. */
import { strict as assert } from 'node:assert'
import { printModel } from '../../../lib/report/print.ts'
import { editAnnotations } from '../../../lib/source/edit.ts'
import { planRewriting, type Rewriting } from '../../../lib/translate/migrate/rewriting.ts'
import { isSameModel } from '../../../lib/translate/migrate/same-model.ts'
import { translateText } from '../manifests.ts'

type RewrittenText = Rewriting & Readonly<{ text: string }>

/** Throws an AssertionError where what is written is not served as before, or is not all that can be. */
export function rewriteText(text: string): RewrittenText {
  const { resources, settings, model } = translateText(text)
  const rewriting = planRewriting(resources, settings, new Map())
  const edits = rewriting.changes.map(({ resource, ...change }) => {
    const { line, column } = resource.origin.locateKey(['metadata'])
    return { ...change, line, column }
  })
  const { text: edited, problems } = editAnnotations(text, edits)
  assert.deepEqual(problems, [])
  const after = translateText(edited)
  assert.equal(hideNames(printModel(after.model)), hideNames(printModel(model)))
  assert.ok(isSameModel(model, after.model), 'the model is the same')
  const again = planRewriting(after.resources, after.settings, new Map())
  assert.deepEqual(again.changes, [], 'nothing is left to write')
  return { ...rewriting, text: edited }
}

function hideNames(text: string): string {
  return text.replace(/(?:nginx\.ingress\.kubernetes\.io|portico\.dev)\/[\w-]+/g, 'annotation')
}
