/** One setting as the table has it: its type, its default, and what it does. */

/** `workers` is `auto` or a number; `statuses` is ranges of HTTP status codes; `duration` is written `500ms`, `10s`, `5m`, `1h` and held in milliseconds; `bytes` is written `64Ki`, `1Mi` or a number. */
export type SettingType =
  | 'boolean'
  | 'string'
  | 'strings'
  | 'integer'
  | 'port'
  | 'address'
  | 'duration'
  | 'bytes'
  | 'cidrs'
  | 'addresses'
  | 'addressRanges'
  | 'serviceRange'
  | 'portRange'
  | 'endpoints'
  | 'services'
  | 'serviceNames'
  | 'codes'
  | 'servers'
  | 'hostPolicy'
  | 'hostname'
  | 'workers'
  | 'statuses'

/** One setting: its type, default and what it does. */
export type SettingLeaf =
  | Readonly<{
      type: SettingType
      default: unknown
      doc: string
      min?: number
      max?: number
      /** of a string, or of each of several: what it must match, and how people are told to write it */
      pattern?: string
      form?: string
      /** of `servers`: "system" stands for those of the system */
      system?: true
      /** read once, at the start */
      restart?: true
      /** an Ingress can have it for its own routes */
      route?: true
      /** never printed, nor the line where it stands */
      secret?: true
    }>
  | Readonly<{ type: 'enum'; values: readonly string[]; default: string; doc: string; restart?: true; route?: true }>

export type SettingTable = { readonly [name: string]: SettingLeaf | SettingTable }

/** Whether the table's sub-tree is one setting. */
export function isSettingLeaf(entry: SettingLeaf | SettingTable): entry is SettingLeaf {
  return typeof entry.type === 'string'
}
