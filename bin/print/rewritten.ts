/** What `portico migrate --write` has written, and what stays. */

import { alignColumns } from '../../lib/base/columns.ts'
import { printCount } from '../../lib/base/count.ts'
import { escapeText, type Paint } from '../../lib/base/terminal-text.ts'
import { NGINX_DOMAIN } from '../../lib/translate/ingress/nginx/feature.ts'
import type { Rewritten } from '../rewrite.ts'

export function printRewritten({ files, kept, spoilt }: Rewritten, paint: Paint): string {
  const rows = files.map(({ name, gone, come }) => [
    escapeText(name),
    paint('green', `${printCount(gone, 'annotation')} of ingress-nginx → ${come} of Portico`),
  ])
  const stays = kept.map(({ annotation, reason, place }) => {
    const text = `${annotation.slice(NGINX_DOMAIN.length)}: ${reason}`
    return `${paint('dim', escapeText(place))}  ${paint('yellow', 'stays')}  ${escapeText(text)}`
  })
  return [
    ...alignColumns(rows, 3),
    ...(rows.length > 0 && stays.length > 0 ? [''] : []),
    ...stays,
    ...spoilt.map((name) =>
      paint('red', `${escapeText(name)} is not written: it would be served differently; this is a bug in Portico`),
    ),
    ...(rows.length + stays.length + spoilt.length === 0 ? ['there is nothing to write'] : []),
  ].join('\n')
}
