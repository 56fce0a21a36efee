/** All verbs. Each is loaded only when used, so that quick answers need not wait for Fastify. */
import type { Command } from './command.ts'

export type Verb = Readonly<{ name: string; line: string; load: () => Promise<{ command: Command }> }>

export const VERBS: readonly Verb[] = [
  { name: 'run', line: 'serve manifests', load: () => import('./commands/run.ts') },
  { name: 'check', line: 'find every problem in manifests', load: () => import('./commands/check.ts') },
  {
    name: 'explain',
    line: 'say which rule serves a URL, and why the others do not',
    load: () => import('./commands/explain.ts'),
  },
  {
    name: 'get',
    line: 'list routes, services, endpoints, certificates, settings …',
    load: () => import('./commands/get.ts'),
  },
  { name: 'tap', line: 'show the requests of a running gateway as they end', load: () => import('./commands/tap.ts') },
  { name: 'top', line: 'show what routes and endpoints have to do just now', load: () => import('./commands/top.ts') },
  { name: 'describe', line: 'tell everything known of one object', load: () => import('./commands/describe.ts') },
  { name: 'logs', line: "print a running gateway's own log", load: () => import('./commands/logs.ts') },
  {
    name: 'diff',
    line: 'say what a change of manifests changes in what is served',
    load: () => import('./commands/diff.ts'),
  },
  { name: 'test', line: 'check what becomes of requests', load: () => import('./commands/test.ts') },
  {
    name: 'migrate',
    line: 'say what of manifests for ingress-nginx moves as it is',
    load: () => import('./commands/migrate.ts'),
  },
  { name: 'reload', line: 'have a running gateway read its files anew', load: () => import('./commands/reload.ts') },
  {
    name: 'drain',
    line: 'drain a running gateway, or take one endpoint out',
    load: () => import('./commands/drain.ts'),
  },
  { name: 'demo', line: 'serve a small sample shop, backends included', load: () => import('./commands/demo.ts') },
  {
    name: 'healthcheck',
    line: 'ask a running gateway whether it is ready',
    load: () => import('./commands/healthcheck.ts'),
  },
  {
    name: 'schema',
    line: 'print a JSON Schema for editors',
    load: () => import('./commands/schema.ts'),
  },
  { name: 'completion', line: 'complete verbs and flags in a shell', load: () => import('./commands/completion.ts') },
  { name: 'version', line: 'print the version', load: () => import('./commands/version.ts') },
  { name: 'help', line: 'explain a verb: portico help run', load: () => import('./commands/help.ts') },
]
