/** The cookie that keeps clients with the Service that a divided route has given them: an annotation under portico.dev/. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { describeText } from '../annotation-schema.ts'
import { SPLIT_ANNOTATION } from './split.ts'

export const SPLIT_COOKIE_ANNOTATION = `${ANNOTATION_DOMAIN}split-cookie`

/** RFC 6265 §4.1.1: a token. */
const NAME = /^[\w!#$%&'*+\-.^`|~]{1,64}$/

export const SPLIT_COOKIE_SCHEMA = describeText(
  'The name of a cookie that keeps each client with the Service that portico.dev/split has given it.',
  NAME.source,
)

/** Undefined: clients are not kept, or the annotation cannot be used. */
export function readSplitCookie({ meta }: Ingress): string | undefined {
  const name = meta.annotations[SPLIT_COOKIE_ANNOTATION]?.trim()
  return name !== undefined && NAME.test(name) ? name : undefined
}

/** Reports an annotation that cannot be used. */
export function checkSplitCookie(ingress: Ingress, diagnostics: DiagnosticList): void {
  const { annotations } = ingress.meta
  const name = annotations[SPLIT_COOKIE_ANNOTATION]?.trim()
  if (name === undefined) return
  const refuse = (message: string, help: string): void =>
    diagnostics.add('PORTICO_ANN_VALUE', `${SPLIT_COOKIE_ANNOTATION}: ${message}`, {
      position: ingress.origin.locate(['metadata', 'annotations', SPLIT_COOKIE_ANNOTATION]),
      resource: printResource(ingress),
      help,
    })
  if (!NAME.test(name)) {
    const help = 'write letters, digits, "-" and "_", 64 at most, as in "canary"; until then no client is kept'
    refuse(`"${name}" is no name of a cookie`, help)
  } else if (annotations[SPLIT_ANNOTATION] === undefined) {
    refuse('it says nothing without split', `add ${SPLIT_ANNOTATION}, or leave it out`)
  }
}
