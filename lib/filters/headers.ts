/** Sets, adds and removes fields of requests and of answers. HOT */
import { FIELD_NAMES, FIELDS } from './annotation-form.ts'
import {
  type Field,
  type FieldNames,
  findNameFault,
  parseFields,
  printFields,
  removeFields,
  splitNames,
} from './field-lines.ts'
import { type AnnotationReader, defineFilter } from './spec.ts'

type Changes = Readonly<{
  /** These take the place of fields of the same name. */
  set: readonly Field[]
  /** These are added to fields of the same name. */
  add: readonly Field[]
  /** Names of fields that are left out. */
  remove: readonly string[]
}>

type Options = Readonly<{ request: Changes | undefined; response: Changes | undefined }>

export const HEADERS = defineFilter<Options>({
  name: 'headers',
  order: 420,
  isGuard: false,
  annotations: {
    'request-headers-set': {
      about: 'fields that requests have at endpoints in place of others of the same name, one "Name: value" a line',
      form: FIELDS,
    },
    'request-headers-add': {
      about: 'fields that requests have at endpoints besides, one "Name: value" a line',
      form: FIELDS,
    },
    'request-headers-remove': {
      about: 'names of fields that endpoints do not see, separated by commas',
      form: FIELD_NAMES,
    },
    'response-headers-set': {
      about: 'fields that answers have in place of others of the same name, one "Name: value" a line',
      form: FIELDS,
    },
    'response-headers-add': { about: 'fields that answers have besides, one "Name: value" a line', form: FIELDS },
    'response-headers-remove': {
      about: 'names of fields that clients do not see, separated by commas',
      form: FIELD_NAMES,
    },
  },
  read(annotations) {
    const request = readChanges(annotations, 'request')
    const response = readChanges(annotations, 'response')
    return request || response ? { request, response } : undefined
  },
  print: ({ request, response }) =>
    [...printChanges('request', request), ...printChanges('response', response)].join(', '),
  create({ request, response }) {
    const changeRequest = request && createChange(request)
    const changeResponse = response && createChange(response)
    return {
      ...(changeRequest && {
        requestNames: changeRequest.names,
        upstreamRequest: (draft) => {
          draft.lines = changeRequest.apply(draft.lines)
          draft.addedLines = removeFields(draft.addedLines, changeRequest.names)
        },
      }),
      ...(changeResponse && {
        responseNames: changeResponse.names,
        response: (head) => {
          head.lines = changeResponse.apply(head.lines)
        },
      }),
    }
  },
})

function readChanges(annotations: AnnotationReader, side: 'request' | 'response'): Changes | undefined {
  const set = readFields(annotations, `${side}-headers-set`)
  const add = readFields(annotations, `${side}-headers-add`)
  const remove = readNames(annotations, `${side}-headers-remove`)
  return set.length + add.length + remove.length > 0 ? { set, add, remove } : undefined
}

function readFields(annotations: AnnotationReader, name: string): readonly Field[] {
  const fields = parseFields(annotations.text(name) ?? '')
  if (typeof fields !== 'string') return fields
  const help = fields.endsWith('by the gateway itself')
    ? 'leave it out; portico.dev/rewrite-host changes the host'
    : FIELDS.help
  annotations.refuse(name, fields, help)
  return []
}

function readNames(annotations: AnnotationReader, name: string): readonly string[] {
  const names = splitNames(annotations.text(name) ?? '')
  const fault = names.map(findNameFault).find((each) => each !== undefined)
  if (fault === undefined) return names
  annotations.refuse(name, fault, FIELD_NAMES.help)
  return []
}

/** What is added stays behind what a client or an endpoint has sent. */
function createChange({
  set,
  add,
  remove,
}: Changes): Readonly<{ names: FieldNames; apply: (lines: string) => string }> {
  const names = new Set([...set.map(([name]) => name), ...remove].map((name) => name.toLowerCase()))
  const added = printFields([...set, ...add])
  return { names, apply: (lines) => (names.size === 0 ? lines : removeFields(lines, names)) + added }
}

function* printChanges(side: string, changes: Changes | undefined): Generator<string> {
  if (changes === undefined) return
  for (const verb of ['set', 'add'] as const) {
    if (changes[verb].length > 0) yield `${side} ${verb} ${changes[verb].map(([name]) => name).join(' ')}`
  }
  if (changes.remove.length > 0) yield `${side} remove ${changes.remove.join(' ')}`
}
