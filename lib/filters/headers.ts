/** Sets, adds and removes fields of requests and of answers. HOT */
import { traceNames } from '../http1/name-traces.ts'
import { CONFIG_MAP_NAME, FIELD_NAMES, FIELDS } from './annotation-form.ts'
import {
  type Field,
  type FieldLines,
  findNameFault,
  isClientField,
  parseFields,
  SoughtNames,
  splitNames,
} from './field-lines.ts'
import { compileFields, findTemplateFault, readFieldsFrom, writeTemplate } from './field-template.ts'
import { type AnnotationReader, defineFilter, type FilterRequest } from './spec.ts'

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
      about:
        'fields that requests have at endpoints in place of others of the same name, one "Name: value" a line; X-Forwarded-*, Forwarded and X-Real-IP too, which then say what stands here',
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
    'response-headers-from': {
      about:
        'a ConfigMap in the namespace of the Ingress whose keys are names of such fields, and whose texts are their values; response-headers-set goes before it',
      form: CONFIG_MAP_NAME,
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
    const changesAdded = changeRequest?.removed.names.some(isClientField)
    return {
      ...(changeRequest && {
        requestNames: new Set(changeRequest.removed.names),
        upstreamRequest: (draft, request) => {
          changeRequest.apply(draft, request)
          if (changesAdded) draft.addedLines = changeRequest.removed.remove(draft.addedLines)
        },
      }),
      ...(changeResponse && {
        responseNames: new Set(changeResponse.removed.names),
        response: changeResponse.apply,
      }),
    }
  },
})

function readChanges(annotations: AnnotationReader, side: 'request' | 'response'): Changes | undefined {
  const written = readFields(annotations, `${side}-headers-set`)
  const names = new Set(written.map(([name]) => name.toLowerCase()))
  const referred = side === 'response' ? readFieldsFrom(annotations, 'response-headers-from') : []
  const set = [...written, ...referred.filter(([name]) => !names.has(name.toLowerCase()))]
  const add = readFields(annotations, `${side}-headers-add`)
  const remove = readNames(annotations, `${side}-headers-remove`)
  return set.length + add.length + remove.length > 0 ? { set, add, remove } : undefined
}

function readFields(annotations: AnnotationReader, name: string): readonly Field[] {
  const fields = parseFields(annotations.text(name) ?? '', findTemplateFault)
  if (typeof fields !== 'string') {
    const twice = name === 'request-headers-add' && fields.find(([each]) => isClientField(each))
    if (!twice) return fields
    const fault = `${twice[0]} is there already, and endpoints differ in which of two they believe`
    annotations.refuse(name, fault, 'portico.dev/request-headers-set puts another in its place')
    return []
  }
  annotations.refuse(name, fields, explainFault(name, fields))
  return []
}

function explainFault(name: string, fault: string): string {
  if (!fault.endsWith('by the gateway itself')) return FIELDS.help
  const isHost = name.startsWith('request-') && /^host /i.test(fault)
  return isHost ? 'leave it out; portico.dev/rewrite-host changes the host' : 'leave it out'
}

function readNames(annotations: AnnotationReader, name: string): readonly string[] {
  const names = splitNames(annotations.text(name) ?? '')
  const fault = names.map(findNameFault).find((each) => each !== undefined)
  if (fault === undefined) return names
  annotations.refuse(name, fault, FIELD_NAMES.help)
  return []
}

type Change = Readonly<{
  /** The fields that are set or removed. */
  removed: SoughtNames
  apply: (fields: FieldLines, request: FilterRequest) => void
}>

/** What is added stays behind what a client or an endpoint has sent. */
function createChange({ set, add, remove }: Changes): Change {
  const removed = new SoughtNames([...set.map(([name]) => name), ...remove])
  const fields = [...set, ...add]
  const added = compileFields(fields)
  const traces = traceNames(fields.map(([name]) => name))
  return {
    removed,
    apply: (lines, request) => {
      lines.remove(removed)
      lines.add(writeTemplate(added, request), traces)
    },
  }
}

function* printChanges(side: string, changes: Changes | undefined): Generator<string> {
  if (changes === undefined) return
  for (const verb of ['set', 'add'] as const) {
    if (changes[verb].length > 0) yield `${side} ${verb} ${changes[verb].map(([name]) => name).join(' ')}`
  }
  if (changes.remove.length > 0) yield `${side} remove ${changes.remove.join(' ')}`
}
