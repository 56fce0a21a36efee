import t from 'tap'
import { parseEndpointAddress, printEndpointAddress } from '../../lib/base/endpoint-address.ts'

t.test('an endpoint is host and port, and may have a weight and be a backup', async (t) => {
  const read = {
    '127.0.0.1:3000': { host: '127.0.0.1', port: 3000, weight: 1 },
    ' 127.0.0.1:3000;weight=2 ': { host: '127.0.0.1', port: 3000, weight: 2 },
    '127.0.0.1:3000 ; weight=0': { host: '127.0.0.1', port: 3000, weight: 0 },
    '[::1]:65535': { host: '::1', port: 65535, weight: 1 },
    'Web.Example.com.:80': { host: 'web.example.com', port: 80, weight: 1 },
    'my_host:80;weight=1000': { host: 'my_host', port: 80, weight: 1000 },
    '127.0.0.1:80;backup': { host: '127.0.0.1', port: 80, weight: 1, backup: true },
    '[::1]:80 ; backup;weight=2': { host: '::1', port: 80, weight: 2, backup: true },
    '127.0.0.1:80;weight=2;backup': { host: '127.0.0.1', port: 80, weight: 2, backup: true },
  }
  for (const [text, expected] of Object.entries(read)) t.same(parseEndpointAddress(text), expected, text)
})

t.test('a text that cannot be an endpoint is refused with a reason', async (t) => {
  const problems = {
    'http://127.0.0.1:80': '"http://127.0.0.1:80" is a URL, not an endpoint',
    '127.0.0.1': '"127.0.0.1" has no port',
    'web.example.com': '"web.example.com" has no port',
    '::1': '"::1" has no port',
    '::1:80': '"::1:80" has no port',
    '': '"" is not an endpoint',
    'a b:80': '"a b:80" is not an endpoint',
    '127.0.0.1:80/path': '"127.0.0.1:80/path" is not an endpoint',
    '127.0.0.1:80;wieght=2': '"127.0.0.1:80;wieght=2" is not an endpoint',
    '127.0.0.1:80;backup=1': '"127.0.0.1:80;backup=1" is not an endpoint',
    '127.0.0.1:80;weight=1;weight=2': '"127.0.0.1:80;weight=1;weight=2" has more than one weight',
    '127.0.0.1:0': 'port 0 is not between 1 and 65535',
    '127.0.0.1:65536': 'port 65536 is not between 1 and 65535',
    '127.0.0.1:80;weight=1001': 'weight 1001 is not between 0 and 1000',
    '127.1:80': '"127.1" is neither an IP address nor a host name',
    '300.1.1.1:80': '"300.1.1.1" is neither an IP address nor a host name',
    '[127.0.0.1]:80': '"127.0.0.1" is neither an IP address nor a host name',
    '-x:80': '"-x" is neither an IP address nor a host name',
  }
  for (const [text, problem] of Object.entries(problems)) t.match(parseEndpointAddress(text), { problem }, text)
})

t.test('an endpoint is printed as it is written', async (t) => {
  t.equal(printEndpointAddress('127.0.0.1', 80), '127.0.0.1:80')
  t.equal(printEndpointAddress('::1', 80), '[::1]:80')
})
