import t from 'tap'
import { decodeOne, decodeText } from './decode-text.ts'

function endpoints(subsets: string): string {
  return `apiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\nsubsets: ${subsets}\n`
}

t.test('S30 subsets are addresses and ports', async (t) => {
  const decoded = decodeOne(
    'Endpoints',
    endpoints(
      '[{addresses: [{ip: 127.0.0.1, hostname: a, targetRef: {name: web-a}}], notReadyAddresses: [{ip: "fd00::1"}], ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}]',
    ),
  )
  t.same(decoded.subsets, [
    {
      addresses: [{ ip: '127.0.0.1', hostname: 'a', targetName: 'web-a' }],
      notReadyAddresses: [{ ip: 'fd00::1', hostname: undefined, targetName: undefined }],
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, appProtocol: undefined },
        { name: 'dns', protocol: 'UDP', port: 53, appProtocol: undefined },
      ],
      index: 0,
    },
  ])
})

t.test('a subset has an address', async (t) => {
  t.same(decodeText(endpoints('[{ports: [{port: 80}]}]')).printed, [
    '4:11 subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`',
  ])
})

t.test('addresses and ports are checked', async (t) => {
  t.same(
    decodeText(endpoints('[{addresses: [{ip: x}, {ip: 0.0.0.0}], ports: [{port: 0}, {name: a, port: 80}]}]')).printed,
    [
      '4:29 subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      '4:38 subsets[0].addresses[1].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
      '4:57 subsets[0].ports[0].name: Required value',
      '4:64 subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
    ],
  )
})
