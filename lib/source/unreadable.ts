/** How a file or folder that cannot be read is told to people. */
import type { Stats } from 'node:fs'
import path from 'node:path'
import type { DiagnosticList } from '../base/diagnostics.ts'
import { isExhaustion, RAISE_LIMIT } from '../base/exhaustion.ts'

/** Reports a file or folder by the name that people know it by. */
export function addUnreadable(diagnostics: DiagnosticList, name: string, error: Error): void {
  diagnostics.add('PORTICO_FILE_UNREADABLE', `${name} ${describe(error)}`, {
    help: isExhaustion(error) ? RAISE_LIMIT : undefined,
  })
}

function describe(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return 'cannot be read: permission denied'
    case 'ENOENT':
      return 'cannot be read: it does not exist, or is a link to nothing'
    case 'ELOOP':
      return 'cannot be read: its links lead in a circle'
    case 'ENXIO':
      return 'is a socket, not a file'
    case 'EMFILE':
    case 'ENFILE':
      return 'cannot be read: no file descriptor is left'
    default:
      return `cannot be read: ${error.code ?? error.message}`
  }
}

/** The path as shown to people: relative to the working directory if that is shorter. */
export function printPath(absolute: string): string {
  const relative = path.relative(process.cwd(), absolute)
  return relative !== '' && relative.length < absolute.length ? relative : absolute
}

/** The word for something that is not a regular file. */
export function describeType(stats: Stats): string {
  if (stats.isDirectory()) return 'folder'
  if (stats.isFIFO()) return 'FIFO'
  if (stats.isSocket()) return 'socket'
  return 'device'
}
