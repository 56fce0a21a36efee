/** What a text costs grows with its length, whatever it holds: twice the text, about twice the time. */
import t from 'tap'
import { TextProvider } from '../../lib/providers/text-provider.ts'

/** Those of a quadratic cost are four times as much. */
const MOST = 2.5

const object = (kind: string, apiVersion = 'v1'): string =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a}\n`
const service = (fields: string): string => `${object('Service')}spec: {${fields}}\n`
const list = (item: string, length: number): string => `[${item.repeat(Math.ceil(length / item.length))}]`
const count = (length: number, print: (index: number) => string): string => {
  let text = ''
  for (let index = 0; text.length < length; index++) text += print(index)
  return text
}

const SHAPES: Readonly<Record<string, (length: number) => string>> = {
  // So many that the search for the first costs more than all the rest.
  'equal ports': (length) => service(`ports: ${list('{port: 80},', length * 6)}`),
  'ports of the wrong type': (length) => service(`ports: ${list('{port: x},', length)}`),
  'families that do not exist': (length) => service(`ports: [{port: 80}], ipFamilies: ${list('x,', length)}`),
  'a Secret of bad keys': (length) => `${object('Secret')}data:\n${count(length, (index) => `  k${index}!: "????"\n`)}`,
  'a selector of bad keys': (length) =>
    service(`ports: [{port: 80}], selector: {${count(length, (index) => `k${index}: 1,`)}}`),
  'addresses of an EndpointSlice': (length) =>
    `${object('EndpointSlice', 'discovery.k8s.io/v1')}addressType: IPv4\nendpoints: [{addresses: ${list('x,', length)}}]\n`,
  'ports of Endpoints': (length) =>
    `${object('Endpoints')}subsets: [{addresses: [{ip: x}], ports: ${list('{},', length)}}]\n`,
  'paths of an Ingress': (length) =>
    `${object('Ingress', 'networking.k8s.io/v1')}spec: {rules: [{http: {paths: ${list('{},', length)}}}]}\n`,
  'a large mapping merged into many': (length) =>
    `a: &a {${count(length / 2, (index) => `k${index}: 1,`)}}\n${count(length / 2, (index) => `m${index}: {<<: *a}\n`)}`,
}

/** Processor time of this process, its threads included, milliseconds. */
async function measure(text: string): Promise<number> {
  const before = process.cpuUsage()
  await new TextProvider({ name: 'text', text }).read()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

for (const [name, print] of Object.entries(SHAPES)) {
  t.test(name, { timeout: 60_000 }, async (t) => {
    await measure(print(10_000))
    let least = Number.POSITIVE_INFINITY
    // A machine that is busy with other things spoils a measurement now and then.
    for (let round = 0; round < 4 && least > MOST; round++) {
      const once = await measure(print(48_000))
      least = Math.min(least, (await measure(print(96_000))) / once)
    }
    t.ok(least <= MOST, `twice the text costs ${least.toFixed(1)} times as much`)
  })
}
