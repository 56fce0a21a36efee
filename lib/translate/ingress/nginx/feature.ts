import type { CanaryTerms } from '../canary.ts'
import type { ConditionalAnswer } from '../conditional-answer.ts'

/**
 * What an annotation of ingress-nginx comes to: which values it has, and the options of Portico's own that say the same. G1 to G9 and
 * the other rules named in this folder are those of docs/ingress-nginx.md.
 */

export const NGINX_DOMAIN = 'nginx.ingress.kubernetes.io/'

/** Stands before keys of the controller's ConfigMap that are given to Ingresses as if they were annotations. No manifest has it. */
export const CONTROLLER_DOMAIN = 'configmap.ingress-nginx.invalid/'

/**
 * What ingress-nginx does with a value of the wrong form (G3). `default`: it counts as not written. `closed`: the routes of the Ingress
 * answer 503. `refused`: the Ingress is not taken at all; since Portico has no earlier one to go on with, its routes are closed too.
 */
export type FaultOutcome = 'default' | 'closed' | 'refused'

/** What values look like. */
export type NginxForm = Readonly<{
  /** Of the value without white space around it. */
  pattern: RegExp
  /** What is said of other values, as in "is no number". */
  fault: string
  /** What to write. */
  help: string
  /** A value may hold a secret, and is never shown. */
  isSecret?: true
}>

/** Where an annotation acts (G6): on the paths of its Ingress, on all paths of its hosts, or on the Services of its paths. */
export type NginxScope = 'location' | 'host' | 'upstream'

export type NginxAnnotation = Readonly<{
  form: NginxForm
  onFault: FaultOutcome
  /** The options, by the names of annotations without the domain, or in words, that do it here. */
  options: readonly string[]
  /** What is not as in ingress-nginx; undefined: nothing. */
  differs?: string
  /** Values with which the annotation acts exactly as in ingress-nginx, although others differ. */
  alike?: RegExp
}>

/** Annotations that act together. */
export type NginxFeature = Readonly<{
  scope: NginxScope
  /** By their names without the domain. */
  annotations: Readonly<Record<string, NginxAnnotation>>
  /** Is called where the Ingress has one of them. */
  write: (nginx: NginxReader) => void
}>

/** What an Ingress has to say beside options. */
export type HostWishes = {
  /** It is a canary of another Ingress. */
  canary?: CanaryTerms
  /** Answers to requests of its own paths. */
  answers?: readonly ConditionalAnswer[]
  /** Answers to requests of all paths of its hosts. */
  hostAnswers?: readonly ConditionalAnswer[]
  /** The cookie that keeps clients with endpoints, and so with the Service that they were given beside a canary. */
  sessionCookie?: string
}

/** The annotations of one Ingress, without those that are empty or of a wrong form; and the options that they come to. */
export type NginxReader = {
  readonly namespace: string
  /** The hosts of the rules of the Ingress; `''` is every host. */
  readonly ruleHosts: readonly string[]
  /** The paths of the Ingress, as written. */
  readonly paths: readonly string[]
  /** True for an annotation with any value, empty or of a wrong form too. */
  isWritten(name: string): boolean
  /** Without white space around it. */
  text(name: string): string | undefined
  flag(name: string): boolean | undefined
  number(name: string): number | undefined
  /** Says `option` in the place of the annotation `name`. */
  set(option: string, value: string, name: string): void
  /** Says `option` with the text of the annotation `name`, where that is written. */
  copy(name: string, option: string): void
  /** Says a further line of `option` in the place of the annotation `name`. */
  append(option: string, line: string, name: string): void
  /** What the ConfigMap of the controller says; undefined: nothing. */
  controller(key: string): string | undefined
  /** True if `option` is said in the place of an annotation. */
  has(option: string): boolean
  /** True if Portico's own annotation on the Ingress says `option`. */
  hasOwn(option: string): boolean
  /** Says that a part of what is written has no effect; `line`, counted from 1, is the one of the text that says it. */
  warn(name: string, message: string, help: string, line?: number): void
  /** Leaves the annotation to those that say what is not done here, and close routes for it where it guards. */
  leave(name: string): void
  /** Closes the routes of the Ingress, since what is written cannot be done. */
  close(name: string, message: string, help: string): void
  readonly hosts: HostWishes
}

/** G1: as Go's ParseBool. */
export const FLAG: NginxForm = {
  pattern: /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/,
  fault: 'is neither true nor false',
  help: 'write "true" or "false"',
}

/** `alike` of what only differs where it is on. */
export const OFF = /^(?:0|f|F|FALSE|false|False)$/

/** `alike` of what only differs where it is not written. */
export const WRITTEN = /./

/** Undefined: the text is no flag. */
export function readFlag(text: string | undefined): boolean | undefined {
  return text !== undefined && FLAG.pattern.test(text) ? /^[1tT]/.test(text) : undefined
}

/** Said of annotations that come to settings of Services. */
export const HOLDS_FOR_PORT = 'the first Ingress that speaks of it decides for the Service port'

/** G1: decimal digits, without a unit. */
export const NUMBER: NginxForm = {
  pattern: /^[+-]?\d{1,9}$/,
  fault: 'is no whole number',
  help: 'write digits without a unit, as in "10"',
}

export const SECONDS: NginxForm = {
  pattern: /^\d{1,6}$/,
  fault: 'is no number of seconds',
  help: 'write seconds without a unit, as in "60"',
}

export const SIZE: NginxForm = {
  pattern: /^\d{1,12}[kKmMgG]?$/,
  fault: 'is no size',
  help: 'write a number of bytes, or with k, m or g, as in "8m"',
}

export const SWITCH: NginxForm = {
  pattern: /^(?:on|off)$/,
  fault: 'is neither on nor off',
  help: 'write "on" or "off"',
}

/** G5: no control characters. */
export const TEXT: NginxForm = {
  pattern: /^[^\x00-\x1f\x7f]{1,4096}$/,
  fault: 'has control characters, or is longer than 4096',
  help: 'write it in one line',
}

/** A filter of Portico's own checks the addresses. */
export const RANGES: NginxForm = {
  pattern: /^[\da-fA-F:./,\s]+$/,
  fault: 'is no list of addresses',
  help: 'write addresses and CIDR ranges with commas between, as in "10.0.0.0/8, 2001:db8::1"',
}

/** As nginx has it: letters are taken for bytes of 1024. */
export function printSize(size: string): string {
  const unit = size.at(-1)!.toLowerCase()
  const power = ['k', 'm', 'g'].indexOf(unit)
  return power < 0 ? String(Number(size)) : `${Number(size.slice(0, -1))}${['Ki', 'Mi', 'Gi'][power]}`
}
