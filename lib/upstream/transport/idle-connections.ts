/** The idle connections of a pool, by the time they came: a list in which any may be unlinked at once. HOT */
import type { Connection } from './connection.ts'

export class IdleConnections {
  newest: Connection | undefined = undefined
  oldest: Connection | undefined = undefined
  length: number = 0

  add(connection: Connection): void {
    if (this.newest) this.newest.newer = connection
    else this.oldest = connection
    connection.older = this.newest
    this.newest = connection
    this.length++
  }

  delete(connection: Connection): void {
    const { newer, older } = connection
    if (newer) newer.older = older
    else this.newest = older
    if (older) older.newer = newer
    else this.oldest = newer
    connection.newer = undefined
    connection.older = undefined
    this.length--
  }
}
