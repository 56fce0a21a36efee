/** `upstream.caFile` under a running gateway: another content of the file counts without a restart, in workers too. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runPortico } from '../../bin/process.ts'
import { makeCertificate } from '../../helpers/certificates.ts'
import { startEchoUpstream } from '../../helpers/echo-upstream.ts'
import { createMemoryLog } from '../../helpers/memory-log.ts'
import { runGateway, visit } from '../../helpers/running-gateway.ts'
import { until } from '../../helpers/until.ts'

const MANIFESTS = (port: number) => `
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:${port}"}}
spec: {ports: [{port: 443, appProtocol: https}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: web, port: {number: 443}}}}
`

for (const workers of ['0', '1']) {
  t.test(`the file of authorities is followed; workers: ${workers}`, async (t) => {
    const [ours, others] = await Promise.all([
      makeCertificate({ names: ['Our CA'], isAuthority: true }),
      makeCertificate({ names: ['Another CA'], isAuthority: true }),
    ])
    const pem = await makeCertificate({ names: ['web.default.svc'], issuer: ours })
    const echo = await startEchoUpstream({ tls: { cert: pem.certificate, key: pem.key } })
    t.teardown(() => echo.close())
    const file = join(t.testdir({}), 'ca.pem')
    const write = (text: string) => {
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    }
    write(others.certificate)
    const log = createMemoryLog()
    const running = await runGateway(t, MANIFESTS(echo.port), {
      // A log that is given keeps all in one process.
      ...(workers === '0' && { log }),
      flags: { 'upstream.caFile': file, workers },
    })
    const status = async () => (await visit(running, 'http://a.test/')).status
    t.equal(await status(), 502)
    write(`${others.certificate}${ours.certificate}`)
    await until(async () => (await status()) === 200)
    write(ours.certificate.slice(0, 200))
    if (workers === '0') {
      const isTold = () => log.lines('warn').some(({ reason }) => /certificate 1 of .* is malformed/.test(`${reason}`))
      await until(isTold)
      t.match(log.lines('warn').at(-1), { file, msg: /cannot be used: the authorities it had before are trusted/ })
      t.equal(log.lines('info').filter(({ msg }) => msg === 'caFile: authorities read anew').length, 1)
    }
    t.equal(await status(), 200, 'a broken file leaves what it had')
    write(others.certificate)
    await until(async () => (await status()) === 502)
    t.pass('a connection that was made when others were trusted is not used again')
  })
}

t.test('check reads the files of authorities that Services name, in manifests and in the settings', async (t) => {
  const annotated = MANIFESTS(9).replace(
    '{portico.dev/endpoints',
    '{portico.dev/ca-file: none.pem, portico.dev/endpoints',
  )
  const cwd = t.testdir({
    'web.yaml': annotated,
    'plain.yaml': MANIFESTS(9),
    'half.pem': '-----BEGIN CERTIFICATE-----\nMII',
  })
  const check = (...words: string[]) => runPortico(['check', ...words], { cwd })
  t.match(await check('-f', 'web.yaml'), {
    status: 1,
    stdout: /web\.yaml:4:\d+ .*PORTICO_ANN_VALUE .*portico\.dev\/ca-file: none\.pem cannot be read \(ENOENT\)/,
  })
  t.match(await check('-f', 'plain.yaml', '--set', 'services=default/web:caFile=half.pem'), {
    status: 1,
    stdout: /services: default\/web: caFile: certificate 1 of half\.pem is malformed/,
  })
  t.match(await check('-f', 'plain.yaml', '--set', 'upstream.caFile=half.pem'), {
    status: 1,
    stdout: /upstream\.caFile: certificate 1 of half\.pem is malformed/,
  })
})
