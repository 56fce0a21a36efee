/**
 * The `schemaController` of a Fastify whose routes have no schemas. Without it Fastify loads its compilers of schemas, which takes a
 * twentieth of the start of a worker.
 */
export const NO_SCHEMAS = { compilersFactory: { buildValidator: refuse, buildSerializer: refuse } }

function refuse(): never {
  throw new Error('no route has a schema')
}
