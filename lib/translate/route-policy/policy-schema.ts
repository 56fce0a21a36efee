/** The JSON Schema of a RoutePolicy, and of options in the settings. */
import { OWN_VERSION } from '../../kubernetes/kind.ts'
import { MAX_TARGETS, TARGET_GROUPS } from '../../kubernetes/route-policy.ts'
import type { Schema } from '../../settings/setting.ts'
import { ANNOTATIONS } from '../annotation.ts'
import { findAnnotationName, isRestricting, listOptions } from './option.ts'
import type { OptionForm } from './option-form.ts'

/** Texts that YAML has as numbers, of which a form takes some if it takes numbers at all. */
const NUMBERS = ['0', '1', '20', '301', '404', '8080', '1000000']

const TARGET: Schema = {
  type: 'object',
  properties: {
    group: {
      description: 'networking.k8s.io of an Ingress, empty of a Service; may be left out.',
      type: 'string',
      enum: Object.values(TARGET_GROUPS),
    },
    kind: { description: 'What the policy acts on.', type: 'string', enum: Object.keys(TARGET_GROUPS) },
    name: { description: 'Its name, in the namespace of the policy.', type: 'string', minLength: 1 },
    sectionName: {
      description:
        'Of an Ingress: a host, or a host and a path as in shop.example.com/api; "*" for rules without a host. Left out: all of it.',
      type: 'string',
      minLength: 1,
    },
  },
  required: ['kind', 'name'],
  additionalProperties: false,
}

/** JSON Schema (2020-12) of a RoutePolicy; other kinds pass, so that it may stand for files with several. */
export function createRoutePolicySchema(): Schema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://portico.dev/schema/v1alpha1/route-policy.json',
    title: 'Portico RoutePolicy',
    type: ['object', 'null'],
    if: { properties: { kind: { const: 'RoutePolicy' } }, required: ['kind'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      properties: {
        apiVersion: { const: OWN_VERSION },
        kind: { const: 'RoutePolicy' },
        metadata: { type: 'object' },
        spec: {
          type: 'object',
          properties: {
            targetRefs: {
              description: 'What the policy acts on.',
              type: 'array',
              items: TARGET,
              minItems: 1,
              maxItems: MAX_TARGETS,
            },
            ...describeOptions('RoutePolicy'),
          },
          required: ['targetRefs'],
          additionalProperties: false,
        },
        status: {},
      },
      required: ['apiVersion', 'kind', 'metadata', 'spec'],
      additionalProperties: false,
    },
  }
}

/** JSON Schemas of all options, by their names. */
export function describeOptions(owner: 'RoutePolicy' | 'Setting'): Readonly<Record<string, Schema>> {
  return Object.fromEntries([...listOptions(owner)].map(([option, form]) => [option, describeOption(option, form)]))
}

const SCALAR: Schema = { type: ['string', 'number', 'boolean'] }
const SCALARS: Schema = { type: 'array', items: SCALAR }
const LINES: Schema = { ...SCALARS }

const SECRET: Schema = { type: 'string', minLength: 1 }
const CONDITIONS: Schema = { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean', 'null'] } }

/** What may be written in place of a text. */
const STRUCTURES: Readonly<Record<NonNullable<OptionForm['structure']>, readonly Schema[]>> = {
  list: [SCALARS],
  fields: [LINES, { type: 'object', additionalProperties: { anyOf: [SCALAR, SCALARS] } }],
  conditions: [
    { type: 'array', items: { anyOf: [SCALAR, CONDITIONS] }, minItems: 1 },
    { ...CONDITIONS, minProperties: 1 },
  ],
  secret: [
    { type: 'object', properties: { file: SECRET }, required: ['file'], additionalProperties: false },
    { type: 'object', properties: { env: SECRET }, required: ['env'], additionalProperties: false },
  ],
  weights: [SCALARS, { type: 'object', additionalProperties: { type: 'integer', minimum: 0 }, minProperties: 1 }],
}

/** What the annotation takes, and the values of YAML that mean the same. */
function describeOption(option: string, form: OptionForm | undefined): Schema {
  const { description, ...text } = ANNOTATIONS.get(findAnnotationName(option))!.schema
  const choices = text.enum as readonly string[] | undefined
  const pattern = new RegExp(typeof text.pattern === 'string' ? text.pattern : '')
  const takes = (sample: string): boolean => choices?.includes(sample) ?? pattern.test(sample)
  const numbers = choices?.map(Number).filter((choice) => !Number.isNaN(choice)) ?? []
  const alternatives: readonly Schema[] = [
    text,
    ...(numbers.length > 0 ? [{ enum: numbers }] : NUMBERS.some(takes) ? [{ type: 'number' }] : []),
    ...(takes('true') ? [{ type: 'boolean' }] : []),
    ...(form?.structure ? STRUCTURES[form.structure] : []).map((one) =>
      one === SCALARS && !takes('') ? { ...one, minItems: 1 } : one,
    ),
    ...(isRestricting(option) ? [] : [{ type: 'null' }]),
  ]
  return { description, anyOf: alternatives }
}
