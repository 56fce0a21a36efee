import t from 'tap'
import { explainListenError, explainListenerPort, StartError } from '../../lib/control/start-error.ts'
import { makeServiceListener } from '../helpers/snapshot.ts'

const CASES: [code: string, port: number, message: string, help: RegExp][] = [
  ['EADDRINUSE', 8080, 'port 8080 is already in use on ::', /--http-port 8081 \(0 takes a free one\)/],
  ['EADDRINUSE', 65_535, 'port 65535 is already in use on ::', /--http-port 65534/],
  ['EACCES', 80, 'this user may not open port 80', /ip_unprivileged_port_start=80\n[\s\S]*--http-port 8080$/],
  ['EACCES', 443, 'this user may not open port 443', /ip_unprivileged_port_start=80\n.*setcap cap_net_bind_service/],
  ['EACCES', 79, 'this user may not open port 79', /ip_unprivileged_port_start=79\n[\s\S]*--publish 79:8079\n/],
  ['EACCES', 8080, 'this user may not open port 8080', /choose another port: --http-port/],
  ['EADDRNOTAVAIL', 80, 'this machine has no address ::', /http\.address/],
  ['EAFNOSUPPORT', 80, 'this machine has no IPv6', /http\.address: "0\.0\.0\.0"/],
]

for (const [code, port, message, help] of CASES) {
  t.test(`LC-11 ${code} on port ${port} is one line with the way out`, async (t) => {
    const cause = Object.assign(new Error(code), { code })
    const error = explainListenError(cause, { name: 'http', address: '::', port })
    t.ok(error instanceof StartError)
    t.match(error, { message, help, exitCode: 1, cause, diagnostics: [] })
    t.notMatch(message, /\n/)
  })
}

t.test('the DNS server is told of by its own flags', async (t) => {
  const cause = Object.assign(new Error('EACCES'), { code: 'EACCES' })
  t.match(explainListenError(cause, { name: 'dns', address: '127.0.0.1', port: 53 }), {
    message: 'this user may not open port 53',
    help: /another port: --dns-port 8053$/,
  })
})

t.test('an error of another kind stays what it is', async (t) => {
  const cause = Object.assign(new Error('bug'), { code: 'ERR_ASSERTION' })
  t.equal(explainListenError(cause, { name: 'http', address: '::', port: 80 }), cause)
})

t.test('of a Service the way out is in its manifest', async (t) => {
  const listener = makeServiceListener({ to: 'web', port: 80, kind: 'LoadBalancer', address: '192.0.2.1' })
  const explain = (code: string) => explainListenerPort(Object.assign(new Error(`bind ${code}`), { code }), listener)
  t.match(explain('EADDRINUSE'), {
    message: 'port 80 is already in use on 192.0.2.1',
    help: 'stop what uses it, or choose another port of Service default/web',
  })
  t.match(explain('EACCES'), {
    message: 'this user may not open port 80',
    help: /another port of Service default\/web$/,
  })
  t.match(explain('EADDRNOTAVAIL'), { message: 'this machine has no address 192.0.2.1', help: /^give this machine/ })
  t.match(explain('EMFILE'), {
    message: 'no file descriptor is left to open port 80 with',
    help: /^raise the hard limit/,
  })
  t.match(explain('ENODEV'), { message: 'bind ENODEV', help: '' })
})
