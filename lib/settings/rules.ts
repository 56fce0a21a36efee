/** Rules that settings follow beyond their types, most of them of several settings together. */
import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { findAuthorityFault } from '../base/authority-file.ts'
import { isPrivateAddress } from '../base/cidr.ts'
import type { DiagnosticDetails, DiagnosticList } from '../base/diagnostics.ts'
import { findFolderFault } from '../base/folder.ts'
import { findTokenFault } from '../base/token-file.ts'
import { SETTINGS, type Settings } from './table.ts'

const isPort = (port: number): boolean => port > 0 && port < 65_536

/** Bytes of a path that every system takes (sockaddr_un). */
const LONGEST_SOCKET = 103

/** Gives each setting that breaks a rule its default, in `values`, and returns the names of these. */
export function checkRules(
  values: Map<string, unknown>,
  places: ReadonlyMap<string, DiagnosticDetails>,
  diagnostics: DiagnosticList,
): ReadonlySet<string> {
  const refused = new Set<string>()
  const refuse = (name: string, message: string, help: string, fallback: unknown) => {
    diagnostics.add('PORTICO_SET_FIELD_VALUE', `${name}: ${message}`, { ...places.get(name), help })
    values.set(name, fallback)
    refused.add(name)
  }
  const adminAddress = String(values.get('admin.address'))
  const hasToken = values.get('admin.token') !== ''
  const hasTokenFile = values.get('admin.tokenFile') !== ''
  if (hasToken && hasTokenFile) {
    refuse('admin.token', 'admin.tokenFile is set as well', 'set one of them', SETTINGS.admin.token.default)
  }
  const tokenFile = String(values.get('admin.tokenFile'))
  const unfit = hasTokenFile && values.get('admin.enabled') === true && findTokenFault(tokenFile)
  // The setting keeps its value: its default would let everybody in.
  if (unfit) {
    const help = 'name a file of one line that this user may read'
    diagnostics.add('PORTICO_SET_FIELD_VALUE', `admin.tokenFile: ${unfit}`, { ...places.get('admin.tokenFile'), help })
  }
  const isSocket = values.get('admin.socket') !== ''
  if (values.get('admin.writes') === true && !hasToken && !hasTokenFile && !isSocket) {
    refuse(
      'admin.writes',
      'every user and every program of this machine could write',
      'set admin.tokenFile (PORTICO_ADMIN_TOKEN_FILE), PORTICO_ADMIN_TOKEN, or admin.socket',
      SETTINGS.admin.writes.default,
    )
  }
  if (!isSocket && isPrivateAddress(adminAddress) !== 'loopback' && !hasToken && !hasTokenFile) {
    refuse(
      'admin.address',
      `"${adminAddress}" can be reached from other machines, which needs a token`,
      'set admin.tokenFile (PORTICO_ADMIN_TOKEN_FILE) or PORTICO_ADMIN_TOKEN, or leave the address at 127.0.0.1',
      SETTINGS.admin.address.default,
    )
  }
  // Any client could then name any address as its own.
  if ((values.get('trustedProxies') as readonly string[]).length === 0) {
    for (const name of ['http.proxyProtocol', 'https.proxyProtocol']) {
      if (values.get(name) !== 'required') continue
      refuse(
        name,
        'trustedProxies names nobody whose PROXY header is believed',
        'set trustedProxies to the addresses of the proxies in front of this port',
        'none',
      )
    }
  }
  const caHelp = 'name a PEM file of certificates that this user may read'
  const caFault = findAuthorityFault(String(values.get('upstream.caFile')))
  if (caFault) refuse('upstream.caFile', caFault, caHelp, '')
  for (const [service, { caFile = '' }] of Object.entries(values.get('services') as Settings['services'])) {
    const fault = findAuthorityFault(String(caFile))
    if (!fault) continue
    const details = { ...places.get('services'), help: caHelp }
    diagnostics.add('PORTICO_SET_FIELD_VALUE', `services: ${service}: caFile: ${fault}`, details)
  }
  const folder = String(values.get('buffering.folder'))
  const folderFault = folder === '' ? undefined : findFolderFault(folder)
  if (folderFault) refuse('buffering.folder', folderFault, 'name a folder that this user may write', '')
  checkAccessLog(values, refuse)
  const collector = String(values.get('tracing.endpoint'))
  if (collector !== '' && !URL.canParse(collector)) {
    refuse('tracing.endpoint', `"${collector}" is no URL`, 'write it as http://127.0.0.1:4318/v1/traces', '')
  }
  const receiver = /:(\d+)$/.exec(String(values.get('accessLog.syslog')))
  if (receiver !== null && String(values.get('accessLog.syslog')).startsWith('udp:') && !isPort(Number(receiver[1]))) {
    refuse('accessLog.syslog', `${receiver[1]} is no port`, 'write a port from 1 to 65535', '')
  }
  const socket = String(values.get('admin.socket'))
  if (Buffer.byteLength(socket) > LONGEST_SOCKET) {
    refuse(
      'admin.socket',
      `the path is longer than the ${LONGEST_SOCKET} bytes of a Unix socket`,
      'choose a shorter one',
      '',
    )
  }
  const zone = String(values.get('dns.zone'))
  if (!isDomain(zone)) {
    refuse('dns.zone', `"${zone}" is not a domain name`, 'write it as cluster.local', SETTINGS.dns.zone.default)
  }
  const listeners = (['http', 'https', 'admin', 'dns'] as const).filter(
    (name) => values.get(`${name}.enabled`) === true && !(name === 'admin' && isSocket),
  )
  for (const [index, name] of listeners.entries()) {
    const port = values.get(`${name}.port`)
    const rival = listeners
      .slice(0, index)
      .find((other) => port !== 0 && values.get(`${other}.port`) === port && meet(values, name, other))
    if (rival)
      refuse(
        `${name}.port`,
        `port ${port} is taken by ${rival}.port`,
        'give each its own port',
        SETTINGS[name].port.default,
      )
  }
  return refused
}

type Refuse = (name: string, message: string, help: string, fallback: unknown) => void

function checkAccessLog(values: ReadonlyMap<string, unknown>, refuse: Refuse): void {
  const text = (name: string) => String(values.get(`accessLog.${name}`))
  if (text('format') === 'template' && text('template') === '') {
    refuse(
      'accessLog.format',
      'there is no accessLog.template',
      'write the template, as in $remote_addr $status',
      'auto',
    )
  }
  const to = text('to')
  if (to === 'syslog' && text('syslog') === '') {
    refuse('accessLog.to', 'accessLog.syslog names no receiver', 'write it as udp://host:514 or unix:/path', 'stdout')
  }
  if (to !== 'file') return
  const file = text('file')
  const fault = file === '' ? 'there is no accessLog.file' : findFileFault(file)
  if (fault) refuse('accessLog.to', fault, 'name a file in a folder that this user may write', 'stdout')
}

/** Why lines cannot be put into a file; undefined: they can. */
function findFileFault(path: string): string | undefined {
  const folder = dirname(path)
  if (!existsSync(folder)) return `the folder ${folder} does not exist`
  if (!existsSync(path)) return findFolderFault(folder)
  // A device takes lines too: /dev/stderr.
  if (statSync(path).isDirectory()) return `${path} is a folder`
  return undefined
}

/** A DNS name of labels as hosts have them, with its last dot or without. */
function isDomain(text: string): boolean {
  return /^(?=.{1,200}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i.test(text)
}

/** True if two listeners with the same port cannot both be opened. */
function meet(values: ReadonlyMap<string, unknown>, a: string, b: string): boolean {
  const left = values.get(`${a}.address`)
  const right = values.get(`${b}.address`)
  // `::` takes IPv4 too, and `0.0.0.0` every IPv4 address.
  return left === right || [left, right].some((address) => address === '::' || address === '0.0.0.0')
}
