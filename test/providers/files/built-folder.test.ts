import t, { type Test } from 'tap'
import { runPortico } from '../../bin/process.ts'

function service(name: string, more: string = ''): string {
  return `apiVersion: v1
kind: Service
metadata: {name: ${name}, annotations: {portico.dev/endpoints: "127.0.0.1:9000"}}
spec: {ports: [{port: 80}]}
${more}`
}

const PATCH = 'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort}\n'

type Tree = NonNullable<Parameters<Test['testdir']>[0]>
type Told = Readonly<{ severity: string; code: string; help?: string }>

/** Folders of kustomize as its documentation has them. */
const TREE = {
  base: {
    'kustomization.yaml': 'resources: [web.yaml]\npatches: [{path: patch.yaml}, {path: ../common/all.yaml}]\n',
    'web.yaml': service('web'),
    'patch.yaml': PATCH,
  },
  common: { 'all.yaml': PATCH },
  overlays: {
    dev: {
      'kustomization.yml': 'resources: [../../base, more.yaml]\npatchesStrategicMerge: [web.yaml]\n',
      'web.yaml': PATCH,
      'more.yaml': service('more'),
      deep: { 'web.yaml': PATCH },
    },
    prod: { Kustomization: 'bases: [../../base]\n', 'web.yaml': PATCH, 'more.yaml': service('more') },
    part: { 'kustomization.yaml': 'kind: Component\npatches: [{path: web.yaml}]\n', 'web.yaml': PATCH },
  },
}

/** What `check` says, and the Services that there are. */
async function run(t: Test, tree: Tree, ...names: readonly string[]) {
  const cwd = t.testdir(tree)
  const files = names.flatMap((name) => ['-f', name])
  const check = await runPortico(['check', ...files, '-o', 'json'], { cwd })
  const got = await runPortico(['get', 'services', '-o', 'name', ...files], { cwd })
  const { diagnostics } = JSON.parse(check.stdout) as { diagnostics: readonly Told[] }
  return {
    status: check.status,
    services: got.stdout
      .trim()
      .split('\n')
      .filter((line) => line !== ''),
    told: diagnostics.map(({ severity, code, help }) => `${severity} ${code} ${help}`),
  }
}

const BASE = 'info PORTICO_FILE_UNBUILT build it: kubectl kustomize k8s/base | portico check -f -'

t.test('overlays and patches are left out, and one warning for each folder names the command', async (t) => {
  const { status, services, told } = await run(t, { k8s: TREE }, 'k8s')
  t.same(told, [
    BASE,
    'warning PORTICO_FILE_UNBUILT build it: kubectl kustomize k8s/overlays/dev | portico check -f -',
    'warning PORTICO_FILE_UNBUILT build it: kubectl kustomize k8s/overlays/part | portico check -f -',
    'warning PORTICO_FILE_UNBUILT build it: kubectl kustomize k8s/overlays/prod | portico check -f -',
  ])
  t.same(services, ['service/default/web'])
  t.equal(status, 0)
})

t.test('a pattern leaves out the same files', async (t) => {
  const { services, told } = await run(t, { k8s: TREE }, 'k8s/**/*.yaml')
  t.same(services, ['service/default/web'])
  t.equal(told.length, 4)
  t.same(new Set(told.map((line) => line.split(' ')[1])), new Set(['PORTICO_FILE_UNBUILT']))
})

t.test('an overlay that is named is an error: nothing of it is read', async (t) => {
  const { status, services, told } = await run(t, { k8s: TREE }, 'k8s/overlays/dev')
  t.same(told, ['error PORTICO_FILE_UNBUILT build it: kubectl kustomize k8s/overlays/dev | portico check -f -'])
  t.same(services, [])
  t.equal(status, 1)
})

t.test('a named file is read, whatever its folder is', async (t) => {
  const { services } = await run(t, { k8s: TREE }, 'k8s/overlays/dev/more.yaml')
  t.same(services, ['service/default/more'])
})

t.test('a kustomization that cannot be read hides nothing of its folder', async (t) => {
  const { services, told } = await run(
    t,
    { k8s: { base: { 'kustomization.yaml': 'resources: [\n\tx', 'web.yaml': service('web') } } },
    'k8s',
  )
  t.same(services, ['service/default/web'])
  t.same(told, [BASE])
})

t.test('a Helm chart is left out, with one warning', async (t) => {
  const chart = {
    'Chart.yaml': 'apiVersion: v2\nname: x\nversion: 1.0.0\n',
    'values.yaml': 'host: a.test\n',
    templates: {
      'web.yaml': service('{{ .Values.name }}'),
      'all.yaml': '{{- range .Values.all }}\na: {{ . }}\n{{- end }}\n',
    },
    charts: { sub: { 'Chart.yaml': 'name: y\n', templates: { 'a.yaml': 'a: {{ .Values.a }}\n' } } },
  }
  const { status, services, told } = await run(t, { k8s: { 'web.yaml': service('web'), chart } }, 'k8s')
  t.same(told, ['warning PORTICO_FILE_UNBUILT build it: helm template k8s/chart | portico check -f -'])
  t.same(services, ['service/default/web'])
  t.equal(status, 0)
})

const OTHER = 'apiVersion: example.com/v1\nkind: Other\nmetadata: {name: x}\nspec: {a: 1, a: 2}\n'

t.test('duplicate keys are errors in objects that are served, warnings in others', async (t) => {
  const twice = '  a: 1\n  a: 2\n'
  const { told, status } = await run(
    t,
    {
      'a.yaml': OTHER,
      'b.yaml': `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec:\n${twice}`,
      'c.json': '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Node", "a": 1, "a": 2}]}',
    },
    '.',
  )
  t.same(told, Array(3).fill('warning PORTICO_YAML_DUPLICATE_KEY keep one of them'))
  t.equal(status, 0)
})

t.test('a served object with a duplicate key is refused, with all its other problems', async (t) => {
  const { told, services, status } = await run(
    t,
    {
      'a.yaml': `${service('web', 'spec: {ports: [{port: 81}]}')}\n`,
      'b.yaml': `apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 0, port: 1}]}}\n`,
      'c.yaml': 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nhttp: {port: 1, port: 2}\n',
    },
    '.',
  )
  t.same(told, [
    'error PORTICO_YAML_DUPLICATE_KEY keep one of them',
    'error PORTICO_RES_FIELD_VALUE write the port that others are to use for the Service',
    'error PORTICO_YAML_DUPLICATE_KEY keep one of them',
    'error PORTICO_YAML_DUPLICATE_KEY keep one of them',
  ])
  t.same(services, [])
  t.equal(status, 1)
})

t.test('two objects without dashes between them are an error, whatever the first is', async (t) => {
  const { told, status } = await run(t, { 'a.yaml': OTHER.replace(', a: 2', '') + service('web') }, '.')
  t.ok(told.includes('error PORTICO_YAML_DUPLICATE_KEY keep one of them; between two objects stands a line with ---'))
  t.equal(status, 1)
})
