/**
 * The one place that resolves policy: the settings under `upstream`, over them what a Service sets for its upstreams, over these
 * what an Ingress sets for its routes. Equal objects give the same object, so resolving again costs a look-up.
 */
import type { PolicyOverrides, UpstreamPolicy } from './service.ts'
import { isSetting, type SettingTable } from './tree.ts'
import { UPSTREAM_SETTINGS } from './upstream.ts'

/** By the policy that is overridden, then by the overrides. */
const resolved = new WeakMap<UpstreamPolicy, WeakMap<PolicyOverrides, UpstreamPolicy>>()

/** `defaults` are the settings; the overrides are those of the upstream, and of the route if it is asked for one. */
export function resolvePolicy(
  defaults: UpstreamPolicy,
  overrides: PolicyOverrides | undefined,
  routeOverrides?: PolicyOverrides | undefined,
): UpstreamPolicy {
  return override(override(defaults, overrides), routeOverrides)
}

/** A single value of the policy of an upstream, without resolving the others: `fallback` is the value of the settings. */
export function resolveValue<T>(fallback: T, overrides: PolicyOverrides | undefined, name: string): T {
  return overrides !== undefined && Object.hasOwn(overrides, name) ? (overrides[name] as T) : fallback
}

/** Everything that a route has otherwise than the settings. */
export function joinOverrides(
  overrides: PolicyOverrides | undefined,
  routeOverrides: PolicyOverrides | undefined,
): PolicyOverrides {
  return { ...overrides, ...routeOverrides }
}

function override(policy: UpstreamPolicy, overrides: PolicyOverrides | undefined): UpstreamPolicy {
  if (overrides === undefined) return policy
  let known = resolved.get(policy)
  if (!known) {
    known = new WeakMap()
    resolved.set(policy, known)
  }
  let result = known.get(overrides)
  if (!result) {
    result = merge(UPSTREAM_SETTINGS, policy, overrides, '') as UpstreamPolicy
    known.set(overrides, result)
  }
  return result
}

function merge(table: SettingTable, defaults: object, overrides: PolicyOverrides, prefix: string): object {
  const merged: Record<string, unknown> = { ...defaults }
  for (const [key, entry] of Object.entries(table)) {
    const name = prefix + key
    if (isSetting(entry)) merged[key] = resolveValue(merged[key], overrides, name)
    else merged[key] = merge(entry, merged[key] as object, overrides, `${name}.`)
  }
  return Object.freeze(merged)
}
