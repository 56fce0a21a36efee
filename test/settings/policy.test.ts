import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { joinOverrides, resolvePolicy, resolveValue } from '../../lib/settings/policy.ts'
import { makeSettings } from '../helpers/settings.ts'

const { upstream: defaults } = makeSettings()
const SERVICE = Object.freeze({ 'health.check': 'tcp', 'health.interval': 2_000, tries: 5 })
const ROUTE = Object.freeze({ tries: 1 })

t.test('the Service goes before the settings, the Ingress before both, value by value', async (t) => {
  const policy = resolvePolicy(defaults, SERVICE, ROUTE)
  t.same([policy.tries, policy.health.check, policy.health.interval], [1, 'tcp', 2_000])
  t.equal(resolvePolicy(defaults, SERVICE).tries, 5)
  t.equal(policy.health.timeout, defaults.health.timeout)
  t.equal(resolveValue(defaults.health.check, SERVICE, 'health.check'), 'tcp')
  t.equal(resolveValue(defaults.health.check, ROUTE, 'health.check'), defaults.health.check)
  t.same(joinOverrides(SERVICE, ROUTE), { ...SERVICE, tries: 1 })
})

t.test('equal objects give the same object', async (t) => {
  t.equal(resolvePolicy(defaults, undefined), defaults)
  t.equal(resolvePolicy(defaults, SERVICE), resolvePolicy(defaults, SERVICE))
  t.equal(resolvePolicy(defaults, SERVICE, ROUTE), resolvePolicy(defaults, SERVICE, ROUTE))
  t.not(resolvePolicy(defaults, { ...SERVICE }), resolvePolicy(defaults, SERVICE))
})

/** A policy spread over another, or a default put behind one value of the overrides. */
const OWN_RESOLVING = /\.\.\.[\w.#?!]*(?:policy|overrides)\b|(?:policy|overrides)\??\.?\[[^\]]+\] *\?\?/i

t.test('nothing else resolves policy', async (t) => {
  const found = ['lib', 'bin'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name))
      .filter((file) => OWN_RESOLVING.test(readFileSync(file, 'utf8'))),
  )
  t.same(found, ['lib/settings/policy.ts'])
})
