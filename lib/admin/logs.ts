/** The last lines of the log. */
import type { FastifyInstance } from 'fastify'
import type { RecentLines } from '../telemetry/recent-lines.ts'

/** `last` is to be given as `after` the next time. */
export type LogAnswer = Readonly<{ last: number; lines: readonly unknown[] }>

export function addLogs(app: FastifyInstance, recent: RecentLines): void {
  app.get('/api/v1/logs', (request, reply) => {
    const { after = '0' } = request.query as Readonly<Record<string, unknown>>
    if (typeof after !== 'string' || !/^\d{1,15}$/.test(after)) {
      return reply.code(400).send({ message: 'after is the number of a line.' })
    }
    // The lines are JSON already.
    const text = `{"last":${recent.last},"lines":[${recent.after(Number(after)).join(',')}]}`
    return reply.type('application/json; charset=utf-8').send(text)
  })
}
