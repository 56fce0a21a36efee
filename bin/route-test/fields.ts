/** The fields of a RouteTest: what is read of one, what is wrong in one, and its JSON Schema all come from this table. */
import { findNearest } from '../../lib/base/nearest.ts'
import type { FieldPath } from '../../lib/base/position.ts'
import type { Schema } from '../../lib/settings/setting.ts'

export const TEST_API_VERSION = 'portico.dev/v1alpha1'
export const TEST_KIND = 'RouteTest'

type Field = Readonly<
  { doc: string; required?: true } & (
    | { type: 'text'; pattern?: RegExp; form?: string }
    | { type: 'number'; least: number; most: number }
    /** Texts; of `fields`, null says that the header is not there. */
    | { type: 'texts' }
    | { type: 'headers' }
    | { type: 'fields' }
    | { type: 'group'; fields: Fields }
    | { type: 'list'; of: Fields }
  )
>
type Fields = Readonly<Record<string, Field>>

const NAME = { pattern: /^(none|[^\s/]+\/\S+)$/, form: 'namespace/name, or none' }

const REQUEST: Fields = {
  url: {
    doc: 'The URL, with http:// or https://.',
    type: 'text',
    pattern: /^https?:\/\/[^/]/,
    form: 'https://shop.localhost/path',
    required: true,
  },
  method: { doc: 'GET where it is left out.', type: 'text', pattern: /^[A-Z]+$/, form: 'POST' },
  headers: { doc: 'Header fields by their names.', type: 'headers' },
  client: {
    doc: 'Address of the client; 127.0.0.1 where it is left out. Real requests come from where they come from: a test with another client is offline alone.',
    type: 'text',
    pattern: /^[0-9a-fA-F.:]+$/,
    form: '10.0.0.1',
  },
}

const EXPECT: Fields = {
  ingress: { doc: 'The Ingress whose route takes the request: namespace/name, or none.', type: 'text', ...NAME },
  route: {
    doc: 'Host and path of that route as portico get routes -o name has them, shop.localhost/api, or none.',
    type: 'text',
  },
  service: {
    doc: 'The Service that gets the request: namespace/name or namespace/name:port; one of several is enough; or none.',
    type: 'text',
    ...NAME,
  },
  status: {
    doc: 'The status of the answer. Offline it is known where the gateway answers; of an endpoint any 2xx is taken to hold.',
    type: 'number',
    least: 100,
    most: 599,
  },
  redirect: { doc: 'The Location of the answer.', type: 'text' },
  headers: { doc: 'Header fields of the answer, of real requests alone; null: it is not there.', type: 'fields' },
  filters: {
    doc: 'Filters that act on the request, each by its name or by the beginning of what portico explain says of it.',
    type: 'texts',
  },
  certificate: {
    doc: 'The certificate that the client is shown: namespace/name of its Secret, default, or none.',
    type: 'text',
  },
}

const DIAGNOSTIC: Fields = {
  code: {
    doc: 'Its code.',
    type: 'text',
    pattern: /^PORTICO_[A-Z_0-9]+$/,
    form: 'PORTICO_REF_NO_ENDPOINTS',
    required: true,
  },
  object: { doc: 'The object that it is about: Ingress default/shop.', type: 'text' },
  message: { doc: 'A part of its message.', type: 'text' },
}

export const TEST_FIELDS: Fields = {
  apiVersion: { doc: TEST_API_VERSION, type: 'text', required: true },
  kind: { doc: TEST_KIND, type: 'text', required: true },
  metadata: {
    doc: 'The name of the test, for people.',
    type: 'group',
    fields: { name: { doc: 'The name.', type: 'text' } },
  },
  manifests: {
    doc: 'Files and folders that are tested, from the folder of this file on; -f takes their place.',
    type: 'texts',
  },
  diagnostics: {
    doc: 'All errors and warnings that the manifests have; left out: any.',
    type: 'list',
    of: DIAGNOSTIC,
  },
  tests: {
    doc: 'Requests, and what becomes of each.',
    type: 'list',
    of: {
      name: { doc: 'What it is about, for people; left out: the request.', type: 'text' },
      request: { doc: 'The request.', type: 'group', fields: REQUEST, required: true },
      expect: { doc: 'What is to become of it.', type: 'group', fields: EXPECT, required: true },
    },
  },
}

export type FieldFault = Readonly<{ at: FieldPath; isKey?: true; message: string; help: string }>

/** All that is wrong in a document. */
export function findFaults(value: unknown): readonly FieldFault[] {
  return [...checkGroup(value, TEST_FIELDS, [])]
}

function* checkGroup(value: unknown, fields: Fields, at: FieldPath): Generator<FieldFault> {
  if (!isMapping(value)) {
    yield { at, message: `${nameOf(at)} must be a mapping`, help: `its fields are ${Object.keys(fields).join(', ')}` }
    return
  }
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(fields, key)) continue
    const near = findNearest(key, Object.keys(fields))
    const help = near ? `did you mean "${near}"?` : `known here: ${Object.keys(fields).join(', ')}`
    yield { at: [...at, key], isKey: true, message: `unknown field "${key}"`, help }
  }
  for (const [key, field] of Object.entries(fields)) {
    const inner = Object.hasOwn(value, key) ? value[key] : undefined
    if (inner !== undefined) yield* checkField(inner, field, [...at, key])
    else if (field.required) yield { at, message: `${nameOf([...at, key])} is missing`, help: field.doc }
  }
}

function* checkField(value: unknown, field: Field, at: FieldPath): Generator<FieldFault> {
  const { doc } = field
  const name = nameOf(at)
  if (field.type === 'group') yield* checkGroup(value, field.fields, at)
  else if (field.type === 'list') {
    if (!Array.isArray(value)) yield { at, message: `${name} must be a list`, help: doc }
    else for (const [index, item] of value.entries()) yield* checkGroup(item, field.of, [...at, index])
  } else if (field.type === 'texts') {
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
    if (!isList) yield { at, message: `${name} must be a list of texts`, help: doc }
  } else if (field.type === 'headers' || field.type === 'fields') {
    const isText = (item: unknown) => typeof item === 'string' || (field.type === 'fields' && item === null)
    if (!isMapping(value) || !Object.values(value).every(isText)) {
      yield { at, message: `${name} must be texts by names`, help: 'numbers stand in quotes' }
    }
  } else if (field.type === 'number') {
    const isGood = Number.isInteger(value) && (value as number) >= field.least && (value as number) <= field.most
    if (!isGood) yield { at, message: `${name} must be a number from ${field.least} to ${field.most}`, help: doc }
  } else if (typeof value !== 'string' || value === '') yield { at, message: `${name} must be a text`, help: doc }
  else if (field.pattern && !field.pattern.test(value)) {
    yield {
      at,
      message: `${name}: ${JSON.stringify(value.slice(0, 80))} cannot stand here`,
      help: `write ${field.form}`,
    }
  }
}

/** JSON Schema (2020-12) of a RouteTest. */
export function createTestSchema(): Schema {
  const { properties, ...rest } = describeGroup(TEST_FIELDS) as Schema & { properties: Record<string, Schema> }
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://portico.dev/schema/v1alpha1/route-test.json',
    title: `Portico ${TEST_KIND}`,
    ...rest,
    properties: { ...properties, apiVersion: { const: TEST_API_VERSION }, kind: { const: TEST_KIND } },
  }
}

function describeGroup(fields: Fields): Schema {
  const required = Object.keys(fields).filter((key) => fields[key]!.required)
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, describeField(field)])),
    ...(required.length > 0 && { required }),
  }
}

function describeField(field: Field): Schema {
  const { doc: description } = field
  switch (field.type) {
    case 'group':
      return { description, ...describeGroup(field.fields) }
    case 'list':
      return { description, type: 'array', items: describeGroup(field.of) }
    case 'texts':
      return { description, type: 'array', items: { type: 'string' } }
    case 'headers':
      return { description, type: 'object', additionalProperties: { type: 'string' } }
    case 'fields':
      return { description, type: 'object', additionalProperties: { type: ['string', 'null'] } }
    case 'number':
      return { description, type: 'integer', minimum: field.least, maximum: field.most }
    case 'text':
      return { description, type: 'string', ...(field.pattern && { pattern: field.pattern.source }) }
  }
}

function nameOf(at: FieldPath): string {
  return at.length === 0
    ? 'the document'
    : at
        .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
        .join('')
        .slice(1)
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
