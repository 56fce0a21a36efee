/**
 * The settings that a Service can have for itself: all under `upstream`. On the Service they are annotations
 * (`upstream.health.path` is `portico.dev/health-path`); in the settings they stand under `services`. An Ingress can have those
 * that concern single requests, for its own routes.
 */
import { explainFormer } from './former-setting.ts'
import type { Fault } from './setting.ts'
import { listSettings, type NamedSetting, type Values } from './tree.ts'
import { UPSTREAM_SETTINGS } from './upstream.ts'

/** How the endpoints of one upstream are chosen among, watched, limited and spoken to. */
export type UpstreamPolicy = Values<typeof UPSTREAM_SETTINGS>

/** The values that a Service, or an Ingress for its routes, sets for itself: by dotted name under `upstream`. */
export type PolicyOverrides = Readonly<Record<string, unknown>>

/** One such setting; `name` is dotted and begins under `upstream`. */
export type ServiceSetting = NamedSetting & Readonly<{ annotation: string }>

/** Portico's own annotations begin with this. */
export const ANNOTATION_DOMAIN = 'portico.dev/'

/** In the order of the table. */
const SERVICE_SETTINGS: readonly ServiceSetting[] = listSettings(UPSTREAM_SETTINGS).map((setting) => ({
  ...setting,
  annotation: annotationName(setting.name),
}))

/** By dotted name. */
export const SERVICE_SETTINGS_BY_NAME: ReadonlyMap<string, ServiceSetting> = new Map(
  SERVICE_SETTINGS.map((setting) => [setting.name, setting]),
)

/** By annotation. */
export const SERVICE_SETTINGS_BY_ANNOTATION: ReadonlyMap<string, ServiceSetting> = new Map(
  SERVICE_SETTINGS.map((setting) => [setting.annotation, setting]),
)

/** `health.unhealthyThreshold` → `portico.dev/health-unhealthy-threshold` */
function annotationName(name: string): string {
  return ANNOTATION_DOMAIN + name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll('.', '-')
}

/** For an annotation that was a setting of Services once. */
export function explainFormerAnnotation(annotation: string): Fault | undefined {
  return explainFormer(annotation, (name) => annotationName(name.replace(/^upstream\./, '')))
}
